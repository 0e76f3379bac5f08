"""Planners and refunds at once, on a real PostgreSQL: no cap is passed, the ledger is true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from controller.planner import ledger
from controller.planner.assignment import Assignment
from controller.planner.boxes import Waiting
from controller.planner.budgets import Budgets
from controller.planner.limits import Caps, Sender
from controller.store import Store
from controller.store.errors import TransactionConflict
from controller.store.queries import Query
from inventory.schema import Limits
from tests.controller.planner.planned import (
    NOON,
    assert_ledger_is_the_messages,
    planner,
    states,
    submit,
    used,
)

Fleet = Callable[..., list[str]]
Limit = Callable[..., None]
CANCEL = Query(
    "test",
    "cancel",
    "Cancels some scheduled messages.",
    "UPDATE message SET state = 'cancelled' WHERE id IN (SELECT id FROM message"
    " WHERE state = 'scheduled' ORDER BY random() LIMIT 2 FOR UPDATE SKIP LOCKED) RETURNING id",
    (),
)


@pytest.mark.parametrize(("egress_cap", "most", "scheduled"), [(50, 20, 200), (70, 20, 240)])
async def test_planners_at_once_never_pass_a_cap(
    store: Store,
    database: str,
    make_fleet: Fleet,
    limit_fleet: Limit,
    egress_cap: int,
    most: int,
    scheduled: int,
) -> None:
    for client in ("acme", "bolt"):
        addresses = make_fleet(client, mailboxes=6, egresses=2)
        await submit(store, client, 150)
        await submit(store, client, 40, addresses[0])
    limit_fleet(mailbox_per_day=20, egress_per_day=egress_cap)
    planners = [planner(store, batch=7) for _ in range(6)]
    for _ in range(25):
        await asyncio.gather(*(p.run_cycle() for p in planners))
    assert max(used(database, "mailbox").values()) <= most
    assert set(used(database, "egress").values()) == {scheduled // 4}
    assert states(database) == {"scheduled": scheduled, "accepted": 380 - scheduled}
    assert_ledger_is_the_messages(database)


async def test_the_charge_itself_refuses_what_passes_a_cap_whatever_was_read(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    # Planners that all believe in a whole day's allowance, as after a lost lock: none is held.
    (address,) = make_fleet("acme", mailboxes=1, egresses=1)
    gate = asyncio.Barrier(8)
    budgets = Budgets(Caps.of(Limits(mailbox_per_day=10, mailbox_per_hour=100)), {})
    sender = Sender(address, "acme-e0", "d0.acme.test", "acme")

    async def charge(n: int) -> int:
        wanted = [
            Assignment(Waiting(f"{n}-{i}", None, "google", NOON), sender, NOON, NOON.date(), NOON)
            for i in range(3)
        ]
        try:
            async with store.transaction() as tx:
                await gate.wait()
                await ledger.charge(tx, wanted, budgets)
        except TransactionConflict:
            return 0
        return 3

    charged = sum(await asyncio.gather(*(charge(n) for n in range(8))))
    assert charged == 9
    assert used(database, "mailbox") == {address: 9}
    assert used(database, "egress") == {"acme-e0": 9}


async def test_a_refund_is_given_once_also_to_two_at_once(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    make_fleet("acme")
    ids = await submit(store, "acme", 10)
    await planner(store).run_cycle()

    async def refund() -> int:
        async with store.transaction() as tx:
            return await ledger.refund(tx, ids[:6])

    given = await asyncio.gather(*(refund() for _ in range(4)))
    assert sorted(given) == [0, 0, 0, 6]
    assert sum(used(database, "mailbox").values()) == 4
    assert_ledger_is_the_messages(database)


async def test_refunds_and_planners_at_once_keep_the_ledger_true(
    store: Store, database: str, make_fleet: Fleet, limit_fleet: Limit
) -> None:
    make_fleet("acme", mailboxes=5, egresses=2)
    limit_fleet(mailbox_per_day=12, egress_per_day=30)
    await submit(store, "acme", 120)
    planners = [planner(store, batch=5) for _ in range(3)]

    async def cancel_some() -> None:
        for _ in range(10):

            async def work(tx: Any) -> None:
                picked = await tx.fetch_all(CANCEL)
                await ledger.refund(tx, [row["id"] for row in picked])

            await store.run(work)

    for _ in range(6):
        await asyncio.gather(*(p.run_cycle() for p in planners), cancel_some())
    assert max(used(database, "mailbox").values()) <= 12
    assert max(used(database, "egress").values()) <= 30
    assert_ledger_is_the_messages(database)
