"""A recipient who is suppressed while mail to it waits on a node does not get that mail."""

from __future__ import annotations

from controller.server import Controller
from controller.store import Transaction
from controller.suppression.change import add
from controller.suppression.entry import entry
from tests.controller.sessions.scene import (
    connected,
    greylisted_and_not,
    running,
    states_are,
    submit,
    until,
)
from tests.controller.small_fleet import sql


async def test_mail_that_waits_on_nodes_is_called_back_and_ends(
    controller: Controller,
) -> None:
    store = controller.store
    first, second = await greylisted_and_not(controller)
    second.hand_over = False
    async with running(first), running(second):
        await until(lambda: connected(store, "n1"))
        ids = await submit(store, 20)
        await until(lambda: states_are(store, queued=10, dispatched=10))
        # Half of what each of them has: deferred at one, waiting for its time at the other.
        stopped = sorted(first.spool)[:5] + sorted(second.spool)[:5]
        rows = await store.fetch_all(
            sql(
                "UPDATE message SET recipient = id || '@google.test' WHERE id = ANY(%(ids)s)"
                " RETURNING id, recipient, client_id"
            ),
            ids=stopped,
        )
        entries = [
            entry(row["client_id"] if row["id"] < max(stopped) else "", row["recipient"].upper(),
                  "unsubscribe", "", None)
            for row in rows
        ]  # fmt: skip

        async def work(tx: Transaction) -> None:
            await add(tx, entries, "operator/jo")

        await store.run(work)
        await until(lambda: not (set(stopped) & (set(first.spool) | set(second.spool))))
        first.greylisted, second.hand_over = False, True
        await until(lambda: states_are(store, suppressed=10, sent=10))
    sent = first.handed_over + second.handed_over
    assert not any(sent[id] for id in stopped)
    assert all(sent[id] == 1 for id in ids if id not in stopped)
