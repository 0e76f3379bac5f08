"""What is uncertain may have been sent, so whatever an operator says of it, its charge stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import psycopg
from postfleet.v1 import fleet_pb2

from controller.fleet.cancel import end_what_came_back
from controller.fleet.resolve import resolve
from controller.planner import ledger
from controller.store import Store
from tests.controller.planner.planned import (
    NOON,
    assert_ledger_is_the_messages,
    planner,
    rows,
    states,
    submit,
    used,
)

Fleet = Callable[..., list[str]]
SOME_NODE = "n1"


def lost_with_its_disk(database: str, asked_by: str | None = None) -> None:
    """All that is scheduled was due on a node whose disk is gone: uncertain, without an attempt."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE message SET state = 'uncertain', node_id = %s, cancel_asked_by = %s"
            " WHERE state = 'scheduled'",
            (SOME_NODE, asked_by),
        )


async def say(store: Store, id_: str, what: fleet_pb2.Resolution.ValueType) -> None:
    await resolve(store, fleet_pb2.ResolveMessageRequest(id=id_, resolution=what), "operator/ada")


async def test_what_rests_because_nobody_knows_keeps_its_charge(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    [address] = make_fleet("acme", mailboxes=1, egresses=1)
    first, second = await submit(store, "acme", 2)
    await planner(store).run_cycle()
    lost_with_its_disk(database)
    async with store.transaction() as tx:
        assert await ledger.refund(tx, [first, second]) == 0
    await say(store, first, fleet_pb2.RESOLUTION_CANCEL)
    await say(store, second, fleet_pb2.RESOLUTION_SENT)
    assert states(database) == {"cancelled": 1, "sent": 1}
    assert used(database, "mailbox") == {address: 2}
    assert_ledger_is_the_messages(database)


async def test_what_is_sent_again_is_charged_anew_to_the_hour_in_which_it_goes(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    [address] = make_fleet("acme", mailboxes=1, egresses=1)
    [only] = await submit(store, "acme", 1)
    await planner(store).run_cycle()
    lost_with_its_disk(database)
    await say(store, only, fleet_pb2.RESOLUTION_RESEND)
    later = NOON + timedelta(hours=2)
    assert await planner(store, later).run_cycle() == "assigned 1 messages (acme 1)"
    # It is not taken for one whose hour is over, and gives its own hour back, not the other one.
    assert "took" not in await planner(store, later).run_cycle()
    assert used(database, "mailbox") == {address: 2}
    async with store.transaction() as tx:
        assert await ledger.refund(tx, [only]) == 1
    hours = rows(
        database, "SELECT hour, used FROM ledger_hour WHERE scope = 'mailbox' ORDER BY hour"
    )
    assert hours == [(NOON, 1), (later, 0)]


async def test_an_operator_who_lets_it_go_again_has_the_last_word(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    make_fleet("acme", mailboxes=1, egresses=1)
    [only] = await submit(store, "acme", 1)
    await planner(store).run_cycle()
    lost_with_its_disk(database, asked_by="operator/jo")
    await say(store, only, fleet_pb2.RESOLUTION_RESEND)
    async with store.transaction() as tx:
        assert await end_what_came_back(tx, 10) == 0
    assert states(database) == {"accepted": 1}
