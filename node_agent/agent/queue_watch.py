"""Looks at Postfix's queue from time to time: load figures, and messages that vanished.

A message that Postfix had, that is in its queue no more, and whose end the log does not tell (lines
were lost) will never be heard of again: it becomes uncertain, with that as its evidence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

import structlog

from node_agent.agent import clock, metrics, queue_view
from node_agent.agent.errors import EvidenceError
from node_agent.agent.lifecycle import Fact, FactKind, State
from node_agent.agent.maillog.follower import LogFollower
from node_agent.agent.queue_view import QueueView
from node_agent.agent.spool.spool import Learned, Spool

_log = structlog.get_logger("queue-watch")


def vanished(queued_before: Collection[str], view: QueueView, still_queued: set[str]) -> list[str]:
    """Message ids without a trace. Pure.

    `queued_before`: in state queued before the look; `still_queued`: still so after the log was
    read to its end behind the look.
    """
    present = set(view.messages.values())
    return sorted(i for i in queued_before if i in still_queued and i not in present)


class QueueWatch:
    """`run` for ever; `view` is the last look."""

    def __init__(
        self,
        spool: Spool,
        follower: LogFollower,
        postqueue: Sequence[str],
        interval_s: float,
        on_learned: Callable[[list[Learned]], Awaitable[None]],
    ) -> None:
        self._spool = spool
        self._follower = follower
        self._postqueue = postqueue
        self._interval_s = interval_s
        self._on_learned = on_learned
        self.sizes: dict[str, int] = {}

    async def run(self) -> None:
        """Look for ever. A queue that cannot be read decides nothing."""
        stored = await self._spool.recall("queue_snapshot", {})
        self.sizes = stored if isinstance(stored, dict) else {}
        while True:
            try:
                await self.look()
            except EvidenceError as error:
                _log.warning("queue-unreadable", error=str(error))
            await asyncio.sleep(self._interval_s)

    async def look(self) -> None:
        """One look. Raises EvidenceError."""
        before = {m.id for m in await self._spool.in_states(State.QUEUED)}
        view = await queue_view.look(self._postqueue)
        self.sizes = view.sizes
        for name in ("active", "deferred", "hold", "incoming"):
            metrics.POSTFIX_QUEUE.labels(name).set(view.sizes.get(name, 0))
        await self._spool.remember("queue_snapshot", view.sizes)
        if before <= set(view.messages.values()):
            return
        await self._follower.catch_up()
        still = {m.id for m in await self._spool.in_states(State.QUEUED)}
        await self._give_up(vanished(before, view, still))

    async def _give_up(self, message_ids: list[str]) -> None:
        if not message_ids:
            return
        # A requeue (postsuper -r) shows nothing for a moment: look once more.
        await asyncio.sleep(1.0)
        again = await queue_view.look(self._postqueue)
        gone = vanished(message_ids, again, set(message_ids))
        fact = Fact(
            FactKind.UNCERTAIN,
            clock.wall_ms(),
            reason="gone from Postfix's queue, and the log does not tell how it ended",
        )
        if gone:
            _log.error("messages-vanished", messages=gone)
            await self._on_learned(await self._spool.learn([(i, fact) for i in gone]))
