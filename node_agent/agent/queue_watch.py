"""Looks at Postfix's queue from time to time: load figures, messages that vanished, and messages
that the guard put on hold.

A message that Postfix had, that is in its queue no more, and whose end the log does not tell (lines
were lost) will never be heard of again: it becomes uncertain, with that as its evidence. So does a
message that was being delivered when Postfix ended, unless the log tells how that went.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path

import structlog

from node_agent.agent import clock, guard_reports, metrics, queue_view
from node_agent.agent.errors import EvidenceError
from node_agent.agent.lifecycle import Fact, FactKind, State
from node_agent.agent.maillog.follower import LogFollower
from node_agent.agent.queue_view import QueueView
from node_agent.agent.spool.spool import Learned, Spool

LOOKS_AGAIN = 2

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
        configured: Callable[[], bool],
        reports: Path,
        discard: Callable[[list[str]], Awaitable[bool]],
        on_learned: Callable[[list[Learned]], Awaitable[None]],
    ) -> None:
        self._spool = spool
        self._follower = follower
        self._postqueue = postqueue
        self._interval_s = interval_s
        # Before the first spec runs, Postfix has no configuration and no queue of ours.
        self._configured = configured
        # The guard's; and what deletes queue files.
        self._reports = reports
        self._discard = discard
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
        reports = guard_reports.read(self._reports)
        if not reports:
            return
        # smtp(8) may have outlived master(8) by a moment, and its line is in the log.
        await self._follower.catch_up()
        ids = [view.messages[q] for q in reports if q in view.messages]
        judgement = guard_reports.judge(reports, view, await self._spool.states(ids))
        facts = [
            (i, Fact(FactKind.UNCERTAIN, clock.wall_ms(), queue_id=queue_id, reason=reason))
            for i, (queue_id, reason) in judgement.open.items()
        ]
        if facts:
            await self._on_learned(await self._spool.learn(facts))
        if judgement.over:
            await self._discard(judgement.over)

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
