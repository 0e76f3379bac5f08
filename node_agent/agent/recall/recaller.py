"""Takes unsent mail out of Postfix's queue: hold, look, read the log, note it, delete, report.

    1. the row notes that its file is put on hold; then the file is, if it waits (not "active")
    2. a look at the queue shows which are on hold; the log is read to its end behind that look
    3. `recalling` is written down: from here on the file is to be deleted, whatever happens
    4. the file is deleted, on disk
    5. a look shows it gone, and the log is read once more: RETURNED

A crash before 3 leaves a file on hold and a note that it was us: it is recalled again, or let go
where this node may send it after all. A crash after 3 ends in 4 again. An agent that has been away
finds by itself what Postfix still has for egresses that this node does not hold any more. What
Postfix is delivering at the moment is not touched; it comes with the next try. The content stays
where it is: the controller never gave it away (docs/decisions/0013).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog
from postfleet.v1 import local_pb2

from node_agent.agent import clock, guard_reports, metrics, queue_orders, queue_view
from node_agent.agent.errors import EvidenceError, QueueOrderError
from node_agent.agent.lifecycle import State
from node_agent.agent.maillog.follower import LogFollower
from node_agent.agent.recall import rules
from node_agent.agent.right import Right
from node_agent.agent.spool.messages import InPostfix
from node_agent.agent.spool.spool import Learned, Spool

SWEEP_S = 10.0
# Between two tries for what Postfix was delivering.
AGAIN_S = 0.5

_log = structlog.get_logger("recall")


class Recaller:
    """`run` for ever; `recall` what is asked for."""

    def __init__(
        self,
        spool: Spool,
        follower: LogFollower,
        right: Right,
        postqueue: Sequence[str],
        apply_socket: Path,
        reports: Path,
        on_learned: Callable[[list[Learned]], Awaitable[None]],
    ) -> None:
        self._spool = spool
        self._follower = follower
        self._right = right
        self._postqueue = postqueue
        self._socket = apply_socket
        # Of the guard: what it held was in delivery when Postfix ended.
        self._reports = reports
        self._on_learned = on_learned
        # One at a time: what one of them has put on hold, another must not let go.
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """The lease names other egresses now: look soon."""
        self._wake.set()

    async def run(self) -> None:
        """Sweep for ever. What cannot be seen or done now is tried again."""
        while True:
            try:
                await self.sweep()
            except (EvidenceError, QueueOrderError) as error:
                _log.warning("recall-waits", why=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), SWEEP_S)
            self._wake.clear()

    async def sweep(self) -> None:
        """Finish what a crash left, recall what is not this node's to send, let go what is.

        Raises EvidenceError, QueueOrderError.
        """
        async with self._turn:
            await self._delete()
            queued = await self._spool.in_postfix()
            stray = [m for m in queued if self._is_elsewhere(m)]
            if stray:
                await self._round(stray)
            await self._let_go([m for m in queued if m.held and self._is_here(m)])

    async def recall(self, chosen: Callable[[InPostfix], bool], patience_s: float) -> int:
        """Recall the chosen of the queued; return how many Postfix still has after that time.

        Tries at least once. Raises EvidenceError, QueueOrderError where the last try did.
        """
        until_s = time.monotonic() + patience_s
        while True:
            try:
                async with self._turn:
                    wanted = [m for m in await self._spool.in_postfix() if chosen(m)]
                    if wanted:
                        await self._round(wanted)
                left = sum(1 for m in await self._spool.in_postfix() if chosen(m))
                if not left or time.monotonic() >= until_s:
                    return left
            except (EvidenceError, QueueOrderError) as error:
                if time.monotonic() >= until_s:
                    raise
                _log.warning("recall-waits", why=str(error))
            await asyncio.sleep(AGAIN_S)

    async def _round(self, wanted: Iterable[InPostfix]) -> None:
        guarded = guard_reports.read(self._reports)
        asked = rules.to_hold(wanted, await queue_view.look(self._postqueue), guarded)
        if not asked:
            return
        await self._spool.mark_held(asked.values())
        await self._order(local_pb2.QUEUE_ACTION_HOLD_WAITING, asked)
        view = await queue_view.look(self._postqueue)
        await self._follower.catch_up()
        mail = self._right.spec.mail
        facts = rules.to_recall(
            await self._spool.in_postfix(),
            asked,
            view,
            self._follower.gap_ms,
            clock.wall_ms(),
            (mail.minimal_backoff_s, mail.maximal_backoff_s),
        )
        await self._on_learned(await self._spool.learn(facts))
        await self._delete()

    async def _delete(self) -> None:
        recalling = await self._spool.in_states(State.RECALLING)
        if not recalling:
            return
        guarded = guard_reports.read(self._reports)
        ours = {m.queue_id: m.id for m in recalling if m.queue_id not in guarded}
        await self._order(local_pb2.QUEUE_ACTION_DELETE_HELD, ours)
        view = await queue_view.look(self._postqueue)
        await self._follower.catch_up()
        facts = rules.after_delete([m.id for m in recalling], view, guarded, clock.wall_ms())
        learned = await self._spool.learn(facts)
        await self._on_learned(learned)
        returned = sum(one.step.state is State.RETURNED for one in learned)
        metrics.RECALLED.inc(returned)
        _log.info("recalled", returned=returned, asked=len(recalling))

    async def _let_go(self, marked: list[InPostfix]) -> None:
        """Off hold with what this node may send after all, unless Postfix was delivering it."""
        if not marked:
            return
        view = await queue_view.look(self._postqueue)
        await self._follower.catch_up()
        here = [m for m in await self._spool.in_postfix() if m.held and self._is_here(m)]
        guarded = guard_reports.read(self._reports)
        idle = [m for m in here if not m.in_flight and m.queue_id not in guarded]
        held = [m.queue_id for m in idle if m.queue_id in view.held]
        await self._order(local_pb2.QUEUE_ACTION_UNHOLD, held)
        await self._spool.mark_held([m.id for m in idle], held=False)
        _log.info("let-go", messages=len(held))

    async def _order(
        self, action: local_pb2.QueueAction.ValueType, queue_ids: Iterable[str]
    ) -> None:
        await queue_orders.order(action, queue_ids, self._socket)

    def _is_elsewhere(self, message: InPostfix) -> bool:
        return self._right.holds(message.egress_id, clock.boottime_ns()) is False

    def _is_here(self, message: InPostfix) -> bool:
        return self._right.holds(message.egress_id, clock.boottime_ns()) is True
