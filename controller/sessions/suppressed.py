"""Finds mail on nodes whose recipient was suppressed since it went there: it is called back.

Looks at all that the nodes have, so not at every look of the pusher. What a node gives back is
planned again, and dispatch ends it as `suppressed` instead of sending it once more.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from controller.sessions.cancels import MOST
from controller.store import Store, queries

_SQL = queries.load("suppression")
LOOK_EVERY_S = 2.0


class SuppressedOnNodes:
    """One for all sessions of a process."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._looked_s = float("-inf")
        self._ids: dict[str, list[str]] = {}

    async def ids(self, node_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Message ids by node, as they were a moment ago."""
        now_s = self._clock()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            found: dict[str, list[str]] = defaultdict(list)
            for row in await self._store.fetch_all(
                _SQL["on_nodes"], node_ids=list(node_ids), limit=MOST
            ):
                found[row["node_id"]].append(row["id"])
            self._ids, self._looked_s = dict(found), now_s
        return self._ids
