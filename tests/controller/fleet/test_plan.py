"""The plan is exactly the difference, in an order that a database with references accepts."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from controller.fleet.affected import affected
from controller.fleet.plan import Action, Change, InUse, Plan, plan, rows_of
from controller.fleet.rows import (
    ClientRow,
    DomainRow,
    EgressRow,
    FleetRows,
    MailboxRow,
    NodeRow,
    Secret,
    SettingsRow,
)

_CLIENTS = ("a", "b", "c")


@st.composite
def fleets(draw: st.DrawFn) -> FleetRows:
    """A small fleet whose references are whole."""
    clients = draw(st.lists(st.sampled_from(_CLIENTS), min_size=1, unique=True))
    client = st.sampled_from(clients)
    nodes = draw(st.lists(st.sampled_from(("n1", "n2")), unique=True))
    numbers = draw(st.lists(st.integers(1, 4), unique=True))
    addresses = draw(st.permutations(numbers))
    egresses = [
        EgressRow(
            f"px{number}", draw(client), str(IPv4Address(address)), f"mx{address}.test", None,
            "socks5", "h", 1080, "u", Secret(draw(st.sampled_from(("x", "y")))), None,
        )
        for number, address in zip(numbers, addresses, strict=True)
    ]  # fmt: skip
    domains = [
        DomainRow(f"{name}.test", draw(client), draw(st.sampled_from(("s1", "s2"))), "none")
        for name in draw(st.lists(st.sampled_from(("d", "e")), unique=True))
    ]
    mailboxes = []
    for domain in domains:
        exits = [each.id for each in egresses if each.client_id == domain.client_id]
        for local in draw(st.lists(st.sampled_from("pqr"), unique=True)) if exits else ():
            mailboxes.append(
                MailboxRow(
                    f"{local}@{domain.name}", domain.name, domain.client_id,
                    draw(st.sampled_from(exits)), draw(st.sampled_from(("P", "Q"))),
                )
            )  # fmt: skip
    return FleetRows(
        SettingsRow({"name": "f", "limits": {"mailbox_per_day": draw(st.integers(0, 2))}}),
        {each: ClientRow(each, draw(st.sampled_from("XY")), "https://x", "m@x")
         for each in clients},
        {each.name: each for each in domains},
        {each.id: each for each in egresses},
        {each.address: each for each in mailboxes},
        {
            each: NodeRow(each, "10.0.0.1", f"{each}.t", 22, "root", "k", 8, "f", None, 1.5)
            for each in nodes
        },
    )  # fmt: skip


class _References:
    """A fleet that changes are made to, refusing what foreign keys refuse."""

    def __init__(self, start: FleetRows) -> None:
        self.fleet = start.fleet
        kinds = ("client", "domain", "egress", "mailbox", "node")
        self.rows = {kind: dict(rows_of(start, kind)) for kind in kinds}

    def apply(self, change: Change) -> None:
        if isinstance(change.after, SettingsRow):
            self.fleet = change.after
            return
        rows = self.rows[change.kind]
        assert rows.get(change.id) == change.before
        if change.after is None:
            del rows[change.id]
        else:
            rows[change.id] = change.after
        self.check()

    def check(self) -> None:
        for row in self.rows["domain"].values():
            assert isinstance(row, DomainRow)
            assert row.client_id in self.rows["client"]
        for row in self.rows["egress"].values():
            assert isinstance(row, EgressRow)
            assert row.client_id in self.rows["client"]
        for row in self.rows["mailbox"].values():
            assert isinstance(row, MailboxRow)
            assert row.domain in self.rows["domain"]
            assert row.egress_id in self.rows["egress"]
            assert row.client_id in self.rows["client"]

    def result(self) -> FleetRows:
        rows = self.rows
        return FleetRows(
            self.fleet, rows["client"], rows["domain"], rows["egress"], rows["mailbox"],
            rows["node"],
        )  # type: ignore[arg-type]  # fmt: skip


@given(fleets(), fleets())
def test_applying_the_plan_gives_the_wanted_fleet(before: FleetRows, wanted: FleetRows) -> None:
    planned = plan(before, wanted)
    assert planned.refusals == ()
    state = _References(before)
    for change in planned.changes:
        state.apply(change)
    assert state.result() == wanted
    assert plan(state.result(), wanted) == Plan(())


@given(fleets())
def test_what_is_as_wanted_needs_no_change(fleet: FleetRows) -> None:
    assert plan(fleet, fleet) == Plan(())


@given(fleets(), fleets())
def test_no_detail_shows_a_password(before: FleetRows, wanted: FleetRows) -> None:
    def secret(fleet: FleetRows) -> FleetRows:
        return replace(
            fleet,
            egresses={
                key: replace(row, password=Secret(f"hunter{row.password.value}"))
                for key, row in fleet.egresses.items()
                if row.password
            },
        )

    assert "hunter" not in repr(plan(secret(before), secret(wanted)))


@given(fleets(), fleets())
def test_every_egress_whose_mailboxes_change_has_its_node_told(
    before: FleetRows, wanted: FleetRows
) -> None:
    def load(fleet: FleetRows, egress: str) -> set[str]:
        return {each.address for each in fleet.mailboxes.values() if each.egress_id == egress}

    told = affected(plan(before, wanted).changes, wanted).egress_ids
    for egress in before.egresses.keys() & wanted.egresses.keys():
        if load(before, egress) != load(wanted, egress):
            assert egress in told


_EGRESS = EgressRow(
    "px1", "a", "192.0.2.1", "mx1.test", None, "socks5", "h", 1080, "u", Secret("x"), None
)
_MAILBOX = MailboxRow("p@d.test", "d.test", "a", "px1", "P")
_FLEET = FleetRows(
    SettingsRow({"name": "f"}),
    {"a": ClientRow("a", "A", "https://x", "m@x")},
    {"d.test": DomainRow("d.test", "a", "s1", "none")},
    {
        "px1": _EGRESS,
        "px2": replace(_EGRESS, id="px2", public_ip="192.0.2.2", helo_name="mx2.test"),
    },
    {"p@d.test": _MAILBOX},
    {"n1": NodeRow("n1", "10.0.0.1", "n1.t", 22, "root", "k", 8, "f", None, 1.5)},
)  # fmt: skip


def test_a_mailbox_with_unfinished_mail_is_not_removed() -> None:
    wanted = replace(_FLEET, mailboxes={})
    refused = plan(_FLEET, wanted, InUse(messages_of_mailbox={"p@d.test": 3})).refusals
    assert refused == (
        "mailbox p@d.test cannot be removed: 3 messages are not finished. "
        "Apply again when they are, or cancel them",
    )


def test_a_mailbox_whose_mail_is_on_a_node_is_not_moved() -> None:
    wanted = replace(_FLEET, mailboxes={"p@d.test": replace(_MAILBOX, egress_id="px2")})
    assert plan(_FLEET, wanted, InUse(messages_of_mailbox={"p@d.test": 1})).refusals == ()
    refused = plan(_FLEET, wanted, InUse(messages_on_nodes_of_mailbox={"p@d.test": 1})).refusals
    assert refused == (
        "mailbox p@d.test cannot be moved to egress px2: 1 message is not finished. "
        "Apply again when they are, or cancel them",
    )


def test_an_egress_that_a_node_holds_is_retired_and_not_removed() -> None:
    wanted = replace(_FLEET, egresses={"px1": _EGRESS})
    planned = plan(_FLEET, wanted, InUse(holder_of_egress={"px2": "n1"}))
    assert [(each.action, each.id) for each in planned.changes] == [(Action.RETIRE, "px2")]
    assert planned.refusals == ()
    retired = replace(
        _FLEET, egresses={"px1": _EGRESS, "px2": replace(_FLEET.egresses["px2"], retired=True)}
    )
    assert plan(retired, wanted, InUse(holder_of_egress={"px2": "n1"})) == Plan(())
    given_back = plan(retired, wanted)
    assert [(each.action, each.id) for each in given_back.changes] == [(Action.REMOVE, "px2")]


def test_an_egress_that_returns_before_it_was_given_back_is_active_again() -> None:
    retired = replace(_FLEET, egresses={"px1": replace(_EGRESS, retired=True)})
    wanted = replace(_FLEET, egresses={"px1": _EGRESS})
    (change,) = plan(retired, wanted, InUse(holder_of_egress={"px1": "n1"})).changes
    assert (change.action, change.details) == (Action.CHANGE, ("retired: True -> False",))


def test_a_public_ip_does_not_go_to_another_egress_while_a_node_holds_it() -> None:
    renamed = replace(_FLEET.egresses["px2"], id="px3")
    wanted = replace(_FLEET, egresses={"px1": _EGRESS, "px3": renamed})
    assert plan(_FLEET, wanted).refusals == ()
    refused = plan(_FLEET, wanted, InUse(holder_of_egress={"px2": "n1"})).refusals
    assert [reason.partition(":")[0] for reason in refused] == [
        "egress px3 cannot have 192.0.2.2",
        "egress px3 cannot have mx2.test",
    ]


def test_a_node_in_service_is_not_removed() -> None:
    wanted = replace(_FLEET, nodes={})
    assert plan(_FLEET, wanted).refusals == ()
    (refused,) = plan(_FLEET, wanted, InUse(nodes_in_service=frozenset({"n1"}))).refusals
    assert refused == (
        "node n1 cannot be removed: it is in service. Take it out of service first: "
        "postfleet node decommission n1"
    )
    (held,) = plan(_FLEET, wanted, InUse(holder_of_egress={"px1": "n1"})).refusals
    assert "it holds 1 egresses" in held


def test_settings_are_compared_field_by_field() -> None:
    before = FleetRows(SettingsRow({"name": "f", "lease": {"ttl_s": 60.0, "margin_s": 5.0}}))
    after = FleetRows(SettingsRow({"name": "f", "lease": {"ttl_s": 30.0, "margin_s": 5.0}}))
    (change,) = plan(before, after).changes
    assert change.details == ("lease.ttl_s: 60.0 -> 30.0",)
