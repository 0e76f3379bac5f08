"""Sweeper: puts right what other changes leave behind, every few seconds.

Planned messages of a mailbox that was moved to another egress go back to the planner, which charges
the new one. Dispatch never takes them meanwhile.
"""

from __future__ import annotations

from controller.planner.unplan import unplan
from controller.store import Store, Transaction, queries

_SQL = queries.load("dispatch")
_BATCH = 1000


class Sweeper:
    """One leader's sweeper; it remembers nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run_cycle(self) -> str:
        """Sweeps up to 1,000 messages."""
        moved = await self._store.run(_moved)
        return f"took {moved} messages back whose mailbox moved" if moved else "nothing to sweep"


async def _moved(tx: Transaction) -> int:
    rows = await tx.fetch_all(_SQL["moved_away"], limit=_BATCH)
    if rows:
        reason = "its mailbox sends through another egress now"
        await unplan(tx, [row["id"] for row in rows], reason)
    return len(rows)
