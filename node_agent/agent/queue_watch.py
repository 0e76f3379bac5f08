"""Looks at Postfix's queue from time to time: load figures, and messages that vanished.

A message that Postfix had, that is in its queue no more, and whose end the log does not tell (lines
were lost) will never be heard of again: it becomes uncertain, with that as its evidence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import structlog

from node_agent.agent import clock, metrics, queue_view
from node_agent.agent.errors import EvidenceError
from node_agent.agent.lifecycle import Fact, FactKind, State
from node_agent.agent.maillog.follower import LogFollower
from node_agent.agent.queue_view import QueueView
from node_agent.agent.spool.spool import Learned, Spool

LOOKS_AGAIN = 2
HELD_SETTLE_S = 2.0

_log = structlog.get_logger("queue-watch")


def vanished(queued_before: Collection[str], view: QueueView, still_queued: set[str]) -> list[str]:
    """Message ids without a trace. Pure.

    `queued_before`: in state queued before the look; `still_queued`: still so after the log was
    read to its end behind the look.
    """
    present = set(view.messages.values())
    return sorted(i for i in queued_before if i in still_queued and i not in present)


def interrupted(in_flight: Mapping[str, str], view: QueueView) -> dict[str, str]:
    """Queue id to message id of what was being delivered when it was put on hold. Pure.

    Before Postfix starts, everything in its active queue is put on hold: what a crash or a stop
    interrupted may have been sent, and Postfix would simply send it again.
    """
    return {q: i for q, i in in_flight.items() if q in view.held and view.messages.get(q) == i}


class QueueWatch:
    """`run` for ever; `view` is the last look."""

    def __init__(
        self,
        spool: Spool,
        follower: LogFollower,
        postqueue: Sequence[str],
        interval_s: float,
        configured: Callable[[], bool],
        on_learned: Callable[[list[Learned]], Awaitable[None]],
    ) -> None:
        self._spool = spool
        self._follower = follower
        self._postqueue = postqueue
        self._interval_s = interval_s
        # Before the first spec runs, Postfix has no configuration and no queue of ours.
        self._configured = configured
        self._on_learned = on_learned
        self.sizes: dict[str, int] = {}

    async def run(self) -> None:
        """Look for ever. A queue that cannot be read decides nothing."""
        stored = await self._spool.recall("queue_snapshot", {})
        self.sizes = stored if isinstance(stored, dict) else {}
        while True:
            try:
                if self._configured():
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
        await self._see_to_held(view)
        if before <= set(view.messages.values()):
            return
        await self._follower.catch_up()
        still = {m.id for m in await self._spool.in_states(State.QUEUED)}
        await self._give_up(vanished(before, view, still))

    async def _see_to_held(self, view: QueueView) -> None:
        suspects = interrupted(await self._spool.in_flight(), view)
        if not suspects:
            return
        # Someone may have held a running delivery, whose end is logged in a moment.
        await asyncio.sleep(HELD_SETTLE_S)
        await self._follower.catch_up()
        still = await self._spool.in_flight()
        reason = "on hold since Postfix was stopped while it was being delivered: maybe sent"
        facts = [
            (i, Fact(FactKind.UNCERTAIN, clock.wall_ms(), queue_id=q, reason=reason))
            for q, i in suspects.items()
            if q in still
        ]
        await self._on_learned(await self._spool.learn(facts))

    async def _give_up(self, message_ids: list[str]) -> None:
        if not message_ids:
            return
        # A look misses files that move from one queue to another meanwhile: look again.
        gone = message_ids
        for _ in range(LOOKS_AGAIN):
            await asyncio.sleep(1.0)
            again = await queue_view.look(self._postqueue)
            gone = vanished(gone, again, set(gone))
            if not gone:
                return
        fact = Fact(
            FactKind.UNCERTAIN,
            clock.wall_ms(),
            reason="gone from Postfix's queue, and the log does not tell how it ended",
        )
        _log.error("messages-vanished", number=len(gone), some=gone[:10])
        await self._on_learned(await self._spool.learn([(i, fact) for i in gone]))
