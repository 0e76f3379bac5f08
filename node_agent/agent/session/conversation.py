"""One session: Hello, then heartbeats, reports and orders until the stream ends.

What must not wait (grants, suspensions, acknowledgements) is dealt with as it is read; what takes
the disk or time (dispatches, cancels, releases) goes through a desk, in the order it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass

import structlog
from postfleet.v1 import node_pb2

from node_agent.agent import clock, lease, metrics, suspensions
from node_agent.agent.handover.worker import HandOver
from node_agent.agent.recall.recaller import Recaller
from node_agent.agent.right import Right
from node_agent.agent.session.discard import DiscardDesk
from node_agent.agent.session.dispatch import DispatchDesk
from node_agent.agent.session.gateway_link import GatewayLink
from node_agent.agent.session.outgoing import Outgoing
from node_agent.agent.session.release import ReleaseDesk
from node_agent.agent.session.reporter import Outbox
from node_agent.agent.session.spec_keeper import SpecKeeper
from node_agent.agent.spool.spool import Spool

WELCOME_TIMEOUT_S = 20.0
# Orders that wait for the disk; then the stream waits.
MOST_ORDERS = 16

_log = structlog.get_logger("session")


@dataclass(slots=True)
class Desks:
    """Everything a session talks to; outlives sessions."""

    spool: Spool
    right: Right
    hand_over: HandOver
    gateway: GatewayLink
    outbox: Outbox
    specs: SpecKeeper
    dispatch: DispatchDesk
    release: ReleaseDesk
    recaller: Recaller
    discard: DiscardDesk
    load: Callable[[], node_pb2.NodeLoad]


class Conversation:
    """Lives as long as its stream."""

    def __init__(self, desks: Desks, outgoing: Outgoing) -> None:
        self._desks = desks
        self._outgoing = outgoing
        self._orders: asyncio.Queue[node_pb2.ControllerMessage] = asyncio.Queue(MOST_ORDERS)
        self._interval_s: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._seq = 0
        self._tasks = asyncio.TaskGroup()
        # Releases, cancels and discards under way.
        self._beside: set[asyncio.Task[None]] = set()
        # A grant arrived: the session is a working one.
        self.granted = False

    async def hold(self, messages: AsyncIterator[node_pb2.ControllerMessage]) -> None:
        """Converse until `messages` ends. Raises what reading raises."""
        async with self._tasks as tasks:
            helpers = [
                tasks.create_task(self._heartbeats()),
                tasks.create_task(self._work_orders()),
                tasks.create_task(self._desks.outbox.report(self._outgoing)),
            ]
            try:
                async for message in messages:
                    await self._hear(message)
            finally:
                for task in (*helpers, *self._beside):
                    task.cancel()

    async def _heartbeats(self) -> None:
        async with asyncio.timeout(WELCOME_TIMEOUT_S):
            interval_s = await self._interval_s
        while True:
            self._seq += 1
            self._outgoing.say_first(
                node_pb2.NodeMessage(
                    heartbeat=node_pb2.Heartbeat(
                        seq=self._seq,
                        running_generation=self._desks.specs.running_generation,
                        load=self._desks.load(),
                    )
                )
            )
            await asyncio.sleep(interval_s)

    async def _hear(self, message: node_pb2.ControllerMessage) -> None:
        """Deal with one message. What makes no sense is refused, and the session goes on."""
        kind = message.WhichOneof("body")
        try:
            if kind == "welcome":
                self._welcome(message.welcome)
            elif kind == "lease_grant":
                await self._grant(message.lease_grant)
            elif kind == "suspensions":
                await self._suspend(message.suspensions)
            elif kind == "spec":
                self._desks.specs.offer(message.spec)
            elif kind == "event_ack":
                await self._desks.outbox.acknowledged(message.event_ack)
            elif kind in ("dispatch", "cancel", "release", "discard"):
                await self._orders.put(message)
            else:
                raise ValueError("it has no body this agent knows")
        except ValueError as error:
            _log.error("nonsense-refused", message=kind, error=str(error))

    def _welcome(self, welcome: node_pb2.Welcome) -> None:
        interval_s = min(max(welcome.heartbeat_interval_ms / 1000, 0.1), 600.0)
        metrics.CONNECTED.set(1)
        if not self._interval_s.done():
            self._interval_s.set_result(interval_s)

    async def _grant(self, grant: node_pb2.LeaseGrant) -> None:
        right = self._desks.right
        sent_at_ns = self._outgoing.sent_at_ns.get(grant.heartbeat_seq)
        if sent_at_ns is None:
            raise ValueError(f"a grant for heartbeat {grant.heartbeat_seq}, which was not sent")
        for seq in [s for s in self._outgoing.sent_at_ns if s < grant.heartbeat_seq]:
            del self._outgoing.sent_at_ns[seq]
        held = lease.granted(
            sent_at_ns,
            grant.epoch,
            grant.ttl_ms,
            grant.margin_ms,
            frozenset(grant.egress_ids),
            grant.at.ToMilliseconds(),
            clock.boottime_ns(),
        )
        before = right.highest_epoch
        named_before = right.lease.egress_ids if right.lease else frozenset()
        if grant.epoch > before:
            await self._desks.spool.remember("highest_epoch", grant.epoch)
        if not right.use_lease(held):
            _log.warning("stale-grant", epoch=grant.epoch, highest=before)
            return
        self.granted = True
        self._desks.gateway.changed()
        self._desks.hand_over.wake()
        if held.egress_ids != named_before:
            self._desks.recaller.wake()
        if grant.epoch > before:
            _log.info("new-term", epoch=grant.epoch, egresses=len(held.egress_ids))
            await self._desks.release.sweep()

    async def _suspend(self, message: node_pb2.Suspensions) -> None:
        self._desks.right.suspensions = suspensions.read(message.suspensions)
        self._desks.gateway.changed()
        self._desks.hand_over.wake()
        await self._desks.spool.remember_octets("suspensions", message.SerializeToString())

    async def _work_orders(self) -> None:
        while True:
            message = await self._orders.get()
            kind = message.WhichOneof("body")
            if kind == "dispatch":
                result = await self._desks.dispatch.take(message.dispatch)
                await self._outgoing.say(node_pb2.NodeMessage(dispatch_result=result))
            elif kind == "cancel":
                self._go_on_with(self._desks.release.cancel(message.cancel.message_ids))
            elif kind == "discard":
                self._go_on_with(self._discard(message.discard))
            else:
                await self._begin_release(message.release)

    async def _discard(self, discard: node_pb2.Discard) -> None:
        result = await self._desks.discard.carry_out(discard)
        # Evidence that came before is told before.
        _, last_seq = await self._desks.spool.event_bounds()
        await self._outgoing.events_sent(last_seq)
        await self._outgoing.say(node_pb2.NodeMessage(discard_result=result))

    async def _begin_release(self, release: node_pb2.Release) -> None:
        why_not = await self._desks.release.begin(release)
        if why_not:
            await self._answer(
                [
                    node_pb2.ReleaseResult(egress_id=e, epoch=release.epoch, detail=why_not)
                    for e in release.egress_ids
                ]
            )
            return
        self._go_on_with(self._desks.release.finish(release, self._answer_after_events))

    def _go_on_with(self, work: Coroutine[object, object, None]) -> None:
        """Beside the orders that follow; at most as long as the session."""
        task = self._tasks.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _answer_after_events(self, results: list[node_pb2.ReleaseResult]) -> None:
        _, last_seq = await self._desks.spool.event_bounds()
        await self._outgoing.events_sent(last_seq)
        await self._answer(results)

    async def _answer(self, results: list[node_pb2.ReleaseResult]) -> None:
        for result in results:
            await self._outgoing.say(node_pb2.NodeMessage(release_result=result))
