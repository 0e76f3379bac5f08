"""Sweeper: puts right what other changes leave behind, every few seconds.

Planned messages of a mailbox that was moved to another egress go back to the planner, which charges
the new one. What nodes gave back because it was cancelled, ends. Dispatch takes neither meanwhile.
Lines of the ledger that are too old to bind anything are removed, once an hour.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from controller.fleet.cancel import end_what_came_back
from controller.planner.ledger import forget
from controller.planner.unplan import unplan
from controller.store import Store, Transaction, queries

_SQL = queries.load("dispatch")
_BATCH = 1000
_CLEAR_EVERY_S = 3600.0


class Sweeper:
    """One leader's sweeper; it remembers only when it cleared the ledger."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._cleared_s = -_CLEAR_EVERY_S

    async def run_cycle(self) -> str:
        """Sweeps up to 1,000 messages of each kind."""
        if self._clock() - self._cleared_s >= _CLEAR_EVERY_S:
            self._cleared_s = self._clock()
            await self._store.run(_forget)
        cancelled = await self._store.run(lambda tx: end_what_came_back(tx, _BATCH))
        moved = await self._store.run(_moved)
        did = [
            f"ended {cancelled} messages that came back" if cancelled else "",
            f"took {moved} messages back whose mailbox moved" if moved else "",
        ]
        return ", ".join(filter(None, did)) or "nothing to sweep"


async def _forget(tx: Transaction) -> int:
    return await forget(tx, await tx.now())


async def _moved(tx: Transaction) -> int:
    rows = await tx.fetch_all(_SQL["moved_away"], limit=_BATCH)
    if rows:
        reason = "its mailbox sends through another egress now"
        await unplan(tx, [row["id"] for row in rows], reason)
    return len(rows)
