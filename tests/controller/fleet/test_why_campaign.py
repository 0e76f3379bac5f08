"""`why campaign`: what keeps its mail, its pool, its windows and its share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from postfleet.v1 import fleet_pb2

from controller.campaigns.steer import steer
from controller.fleet.errors import NotFoundError
from controller.fleet.why import explain
from controller.store import Store
from tests.controller.campaigns.scene import end, rows, start

PEOPLE = [f"p{n}@reader.test" for n in range(5)]


@pytest.fixture
def boxes(database: str, make_fleet: Callable[..., list[str]]) -> list[str]:
    """Of client acme: 2 through each of 2 egresses, both on a node that is connected."""
    addresses = make_fleet("acme", mailboxes=4, egresses=2)
    rows(
        database,
        "INSERT INTO node (id, address, hostname, ssh_port, ssh_user, host_key, capacity,"
        " failure_domain, monthly_cost_eur, connected)"
        " VALUES ('n1', '192.0.2.1', 'n1.test', 22, 'root', '', 100, 'x', 1, true) RETURNING 1",
    )
    rows(database, "INSERT INTO assignment (egress_id, node_id, epoch, state)"
                   " SELECT id, 'n1', 1, 'assigned' FROM egress RETURNING 1")  # fmt: skip
    return addresses


async def said(store: Store, id_: str = "november") -> tuple[str, dict[str, list[str]]]:
    """(verdict, values by name; a dot before those that bind)."""
    reply = await explain(store, fleet_pb2.WhyRequest(kind="campaign", id=id_))
    found: dict[str, list[str]] = {}
    for fact in reply.facts:
        found.setdefault(fact.name, []).append(("• " if fact.binds else "") + fact.value)
    return reply.verdict, found


async def test_nothing_stops_a_campaign_that_may_send(store: Store, boxes: list[str]) -> None:
    await start(store, PEOPLE)
    verdict, found = await said(store)
    assert verdict == "nothing stops campaign november"
    assert found == {
        "state": ["november is running"],
        "waiting": ["5 first messages"],
        "windows": ["always open"],
        "burst": ["no limit of its own; 0 this hour"],
        "pool": ["4 of 4 mailboxes may send it now"],
        "share": ["nothing else of its client waits"],
        "provider": ["that of 5 recipients is being looked up"],
    }


async def test_every_mailbox_of_the_pool_is_counted_with_what_keeps_it(
    store: Store, database: str, boxes: list[str]
) -> None:
    await start(store, PEOPLE)
    rows(
        database,
        "INSERT INTO suspension (scope, subject, source, reason, since, noted_at)"
        " VALUES ('egress', 'acme-e1', 'probe', 'refused', now(), now()) RETURNING 1",
    )
    rows(database, f"UPDATE mailbox SET state = 'paused' WHERE address = '{boxes[0]}' RETURNING 1")
    rows(database, f"UPDATE mailbox SET held_until = now() + interval '5 min', held ="
                   f" 'cap: mailbox {boxes[2]} has used its 10 messages of the hour'"
                   f" WHERE address = '{boxes[2]}' RETURNING 1")  # fmt: skip
    verdict, found = await said(store)
    assert found["pool"] == ["• 0 of 4 mailboxes may send it now"]
    assert found["mailboxes"] == [
        "2: egress suspended by probe",
        "1: cap: mailbox has used its 10 messages of the hour",
        "1: mailbox is paused",
    ]
    assert verdict.startswith(
        "campaign november waits: pool: 0 of 4 mailboxes may send it now, until"
    )
    rows(database, "UPDATE node SET connected = false RETURNING 1")
    rows(database, "DELETE FROM suspension RETURNING 1")
    _, found = await said(store)
    assert "3: the node of its egress is not connected" in found["mailboxes"]


async def test_a_pool_is_only_the_campaigns(store: Store, boxes: list[str]) -> None:
    await start(store, PEOPLE, domains=[], mailboxes=boxes[:1])
    _, found = await said(store)
    assert found["pool"] == ["1 of 1 mailboxes may send it now"]


async def test_state_windows_burst_and_share(store: Store, database: str, boxes: list[str]) -> None:
    await start(store, PEOPLE, priority=10, burst_per_hour=3)
    await start(store, PEOPLE, id="december", priority=3)
    rows(
        database,
        "INSERT INTO ledger_hour (scope, subject, hour, used)"
        " VALUES ('campaign', 'acme/november', date_trunc('hour', now()), 3) RETURNING 1",
    )
    # A day that is not today, anywhere.
    rows(database, "UPDATE campaign SET windows = ARRAY[to_char(now() + interval '3 days', 'dy')"
                   " || ' 08:00-09:00'] WHERE id = 'november' RETURNING 1")  # fmt: skip
    verdict, found = await said(store)
    assert found["share"] == ["11 of 15, beside december"]
    assert found["burst"] == ["• 3 of 3 this hour"]
    assert found["windows"][0].startswith("• ")
    assert "closed for recipients in UTC" in found["windows"][0]
    assert verdict.startswith("campaign november waits: windows: ")
    await store.run(lambda tx: steer(tx, "november", "pause", "a typo", "operator/ann"))
    verdict, _ = await said(store)
    assert verdict == "campaign november waits: state: november is paused: a typo"


async def test_who_waits_for_a_day_is_said(store: Store, database: str, boxes: list[str]) -> None:
    await start(store, PEOPLE)
    end(database, "sent")
    rows(database, "UPDATE campaign_recipient SET next_at = now() + interval '3 days' RETURNING 1")
    verdict, found = await said(store)
    assert found["waiting"] == ["• 5 recipients for the day of the next follow-up"]
    assert ", until 20" in verdict
    with pytest.raises(NotFoundError, match="there is no campaign 'may'"):
        await said(store, "may")
