"""The planner's pure core: allowances and the choice of mailboxes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from controller.planner.allowance import Allowances, Caps, Mailbox
from controller.planner.choice import Waiting, choose
from controller.planner.client_round import Round
from controller.planner.cycle import moment_at, sentence

# Hypothesis wants the limits without a zone.
FIRST = datetime(2026, 1, 1)  # noqa: DTZ001
NAMES = [f"m{n}@d.test" for n in range(6)]

mailboxes = st.lists(
    st.builds(
        Mailbox,
        address=st.sampled_from(NAMES),
        display_name=st.just("N"),
        egress_id=st.sampled_from(["e1", "e2", "e3"]),
        stopped=st.sampled_from(["", "", "", "suspended"]),
        used=st.integers(0, 6),
        egress_used=st.just(0),
    ),
    max_size=6,
    unique_by=lambda m: m.address,
)
caps = st.builds(Caps, st.integers(0, 5), st.integers(0, 9))
names = st.none() | st.sampled_from([*NAMES, "gone@d.test"])


def messages(wanted: list[str | None]) -> list[Waiting]:
    return [Waiting(f"{n:04}", mailbox) for n, mailbox in enumerate(wanted)]


@given(mailboxes, caps, st.lists(names, max_size=60), st.sampled_from(["", *NAMES]))
def test_no_cap_is_passed_and_nothing_is_lost(
    known: list[Mailbox], cap: Caps, wanted: list[str | None], cursor: str
) -> None:
    waiting = messages(wanted)
    by_address = {m.address: m for m in known}
    choice = choose(waiting, Allowances.of(known, cap), cursor)
    per_mailbox = Counter(a.mailbox for a in choice.assignments)
    per_egress = Counter(a.egress_id for a in choice.assignments)
    for address, count in per_mailbox.items():
        assert by_address[address].used + count <= cap.mailbox
        assert not by_address[address].stopped
    assert all(count <= cap.egress for count in per_egress.values())
    named = {m.id: m.mailbox for m in waiting}
    for assignment in choice.assignments:
        asked = named[assignment.message_id]
        assert asked in (None, assignment.mailbox)
        assert assignment.chosen == (asked is None)
        assert assignment.egress_id == by_address[assignment.mailbox].egress_id
    told = [a.message_id for a in choice.assignments] + [w.id for w in choice.left_over]
    assert sorted(told) == [w.id for w in waiting]


@given(mailboxes, caps, st.lists(names, max_size=60), st.sampled_from(["", *NAMES]))
def test_whatever_waits_has_a_reason_and_whatever_has_room_goes(
    known: list[Mailbox], cap: Caps, wanted: list[str | None], cursor: str
) -> None:
    allowances = Allowances.of(known, cap)
    choice = choose(messages(wanted), allowances, cursor)
    for message in choice.left_over:
        if message.mailbox is None:
            assert allowances.total() == 0
            assert allowances.why_none()
        else:
            assert allowances.left(message.mailbox) == 0
            assert allowances.why_not(message.mailbox)


@given(mailboxes, caps)
def test_the_total_is_what_can_really_be_assigned(known: list[Mailbox], cap: Caps) -> None:
    total = Allowances.of(known, cap).total()
    choice = choose(messages([None] * 60), Allowances.of(known, cap), "")
    assert len(choice.assignments) == total


def box(address: str, egress_id: str = "e1", used: int = 0, stopped: str = "") -> Mailbox:
    return Mailbox(address, "N", egress_id, stopped, used, 0)


def test_mailboxes_take_turns_and_the_cursor_carries_on() -> None:
    known = [box("a@d.test"), box("b@d.test", "e2"), box("c@d.test", "e3")]
    caps = Caps(50, 500)
    first = choose(messages([None] * 4), Allowances.of(known, caps), "")
    assert [a.mailbox[0] for a in first.assignments] == ["a", "b", "c", "a"]
    second = choose(messages([None] * 2), Allowances.of(known, caps), first.cursor)
    assert [a.mailbox[0] for a in second.assignments] == ["b", "c"]


def test_a_cursor_at_a_mailbox_that_is_gone_goes_on_behind_it() -> None:
    known = [box("a@d.test"), box("c@d.test")]
    choice = choose(messages([None]), Allowances.of(known, Caps(50, 500)), "b@d.test")
    assert choice.assignments[0].mailbox == "c@d.test"


def test_reasons_name_the_cap_that_binds() -> None:
    known = [box("a@d.test", used=50), box("b@d.test", "e2"), box("c@d.test", stopped="x is off")]
    allowances = Allowances.of(known, Caps(50, 0))
    assert "mailbox a@d.test has used its 50" in allowances.why_not("a@d.test")
    assert "egress e2 has used its 0" in allowances.why_not("b@d.test")
    assert allowances.why_not("c@d.test") == "x is off"
    assert "no longer in the inventory" in allowances.why_not("gone@d.test")
    assert allowances.why_none() == (
        "cap: none of 3 mailboxes may send: 1 have used their 50 of the day, "
        "1 are on an egress that used its 0, 1 are stopped (x is off)"
    )


@given(st.datetimes(timezones=st.just(UTC), min_value=FIRST, max_value=FIRST.replace(year=2030)))
def test_what_is_due_lies_in_the_day_that_is_charged(now: datetime) -> None:
    moment = moment_at(now, timedelta(minutes=5))
    assert now <= moment.due
    assert moment.due.date() == moment.day == now.date()


def test_the_sentence_says_what_was_done_and_why_not_more() -> None:
    rounds = {"acme": Round(5), "bolt": Round(0, why="cap: e"), "cork": Round(0, "", False, True)}
    assert sentence(rounds, 2) == (
        "took 2 back that were planned for a day that is over; assigned 5 messages (acme 5); "
        "left cork to another planner; bolt waits: cap: e"
    )
    assert sentence({}, 0) == "nothing to assign: no message is due"
