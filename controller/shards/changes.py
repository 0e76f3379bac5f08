"""Whether anything that decides about shards changed since it was read; costs one small query.

Triggers note the transaction of every change in the same transaction. What was read is remembered
as a snapshot of PostgreSQL, and a noted transaction that this snapshot does not see is a change
since: neither the order in which transactions commit nor how long they take can hide one. The
caller's own writes are changes too, so what follows from them is looked at in its next cycle.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from controller.store import Store, Transaction, queries

_SQL = queries.load("shard_changes")
_MOST_NOTED = 1000
# Everything is read this often in any case: what decides by the passing of time alone is bounded
# too, and so is the harm of a mistake here.
AT_LEAST_EVERY_S = 30.0


class ChangeCheck:
    """One reader's memory. Knows nothing at first, and after `forget`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._snapshot: str | None = None
        self._good_until_s = 0.0

    async def is_due(self, store: Store) -> bool:
        """Whether everything must be read again."""
        if self._snapshot is None or self._clock() >= self._good_until_s:
            return True
        changed = await store.fetch_value(_SQL["changed_since"], snapshot=self._snapshot)
        return bool(changed)

    async def look(self, tx: Transaction) -> str:
        """Call before the first read of a reading; give the answer to `remember`."""
        return str(await tx.fetch_value(_SQL["snapshot"]))

    async def prune(self, tx: Transaction, snapshot: str) -> None:
        """Keeps the notes short."""
        await tx.execute(_SQL["prune"], snapshot=snapshot, most=_MOST_NOTED)

    def remember(self, snapshot: str, good_for_s: float) -> None:
        """All was read, and its transaction is over; it holds `good_for_s` seconds at most."""
        self._snapshot = snapshot
        self._good_until_s = self._clock() + min(good_for_s, AT_LEAST_EVERY_S)

    def forget(self) -> None:
        """Something went wrong: begin anew."""
        self._snapshot = None
