"""Finds mail on nodes that is to come back: its recipient was suppressed since it went there; it
was sent there for a time that does not come soon, because the clock was set back; or its receiver
takes less at a time since, and Postfix would ask again and again.

Looks at all that the nodes have, so not at every look of the pusher. What a node gives back is
planned again: dispatch ends what is suppressed, and the rest gets a time by the clock of now and
within what receivers take.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from controller.sessions.cancels import MOST
from controller.store import Store, queries

_SUPPRESSED = queries.load("suppression")["on_nodes"]
_SET_BACK = queries.load("clock")["on_nodes"]
_LIMITED = queries.load("throttle")["on_nodes"]
LOOK_EVERY_S = 2.0
# A look at long queues takes its time; it is not to keep the database busy with nothing else.
_REST = 20
_SLACK_S = 10.0


class WantedBack:
    """One for all sessions of a process."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._next_s = float("-inf")
        self._ids: dict[str, list[str]] = {}

    async def ids(self, node_ids: Sequence[str], horizon_s: float) -> Mapping[str, Sequence[str]]:
        """Message ids by node, as they were a moment ago. `horizon_s`: as dispatch uses it."""
        now_s = self._clock()
        if now_s >= self._next_s:
            asked = {"node_ids": list(node_ids), "limit": MOST}
            rows = await self._store.fetch_all(_SUPPRESSED, **asked)
            rows += await self._store.fetch_all(
                _SET_BACK, **asked, ahead_s=horizon_s + _SLACK_S, slack_s=_SLACK_S
            )
            rows += await self._store.fetch_all(_LIMITED, **asked)
            found: dict[str, list[str]] = defaultdict(list)
            for row in rows:
                found[row["node_id"]].append(row["id"])
            took_s = self._clock() - now_s
            self._ids, self._next_s = dict(found), now_s + max(LOOK_EVERY_S, _REST * took_s)
        return self._ids
