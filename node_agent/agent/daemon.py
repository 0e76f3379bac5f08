"""Assembles the agent's parts and runs them until told to stop.

If any part fails by itself, all end and systemd starts the agent anew: the spool is always in a
state from which a new process can go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import structlog
from postfleet.v1 import node_pb2

from node_agent.agent import clock, metrics, notify, suspensions
from node_agent.agent.config import AgentConfig, host_and_port
from node_agent.agent.errors import EvidenceError
from node_agent.agent.handover.evidence import Evidence
from node_agent.agent.handover.waiting import WaitingRoom
from node_agent.agent.handover.worker import HandOver
from node_agent.agent.holds import Holds
from node_agent.agent.lifecycle import State
from node_agent.agent.log_room import LogRoom
from node_agent.agent.maillog.follower import LogFollower
from node_agent.agent.maillog.meaning import stopped_before_the_proxy
from node_agent.agent.probes.opinion import Hearing
from node_agent.agent.probes.prober import Prober
from node_agent.agent.queue_watch import QueueWatch
from node_agent.agent.recall.recaller import Recaller
from node_agent.agent.right import Right
from node_agent.agent.session.caller import Caller
from node_agent.agent.session.conversation import Desks
from node_agent.agent.session.discard import DiscardDesk
from node_agent.agent.session.dispatch import DispatchDesk
from node_agent.agent.session.gateway_link import GatewayLink
from node_agent.agent.session.release import ReleaseDesk
from node_agent.agent.session.reporter import Outbox
from node_agent.agent.session.spec_keeper import SpecKeeper
from node_agent.agent.spool.spool import Learned, Spool
from node_agent.local.gateway_client import GatewayClient

MAINTENANCE_S = 10.0
# Final messages are remembered this long, so that a late, repeated Dispatch is recognised.
REMEMBER_FINAL_MS = 7 * 86_400_000
STOP_TIMEOUT_S = 20.0

_log = structlog.get_logger("agent")


class Daemon:
    """One agent."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        postfix = config.postfix
        self.right = Right()
        self.spool = Spool(config.spool)
        self.room = WaitingRoom()
        self.outbox = Outbox(self.spool)
        self.holds = Holds(self.spool, config.apply_socket)
        self.follower = LogFollower(self.spool, postfix.log, self.learned)
        intake = host_and_port(postfix.intake)
        self.hand_over = HandOver(
            self.spool, self.room, self.right, intake, postfix.batch, self.learned
        )
        self.hand_over.evidence = Evidence(
            self.spool, self.follower, postfix.postqueue, intake[1], self.hand_over.own_ports
        )
        self.gateway = GatewayLink(GatewayClient(config.gateway_socket), self.right)
        self.log_room = LogRoom(
            postfix.log, postfix.min_log_octets, self.spool.reserve, self.right, self._right_changed
        )
        self.queue_watch = QueueWatch(
            self.spool,
            self.follower,
            postfix.postqueue,
            postfix.queue_interval_s,
            lambda: self.right.spec.generation > 0,
            postfix.guard_reports,
            self.holds.discard,
            self.learned,
        )
        self.recaller = Recaller(
            self.spool,
            self.follower,
            self.right,
            postfix.postqueue,
            config.apply_socket,
            postfix.guard_reports,
            self.learned,
        )
        self.release = ReleaseDesk(
            self.spool,
            self.room,
            self.right,
            self.hand_over,
            self.follower,
            self.gateway,
            self.recaller,
            self.learned,
        )
        self.specs = SpecKeeper(
            self.spool,
            self.right,
            config.node_id,
            config.apply_socket,
            self._report_spec,
            self.hand_over.wake,
            self.hand_over.while_postfix_reloads,
        )
        self.caller = Caller(config, self._desks())
        self.prober = Prober(self.right, self._report_probe, self._hear, config.controller)

    def _desks(self) -> Desks:
        dispatch = DispatchDesk(
            self.spool, self.room, self.right, self.hand_over, self._config.spool.max_messages
        )
        return Desks(
            self.spool,
            self.right,
            self.hand_over,
            self.gateway,
            self.outbox,
            self.specs,
            dispatch,
            self.release,
            self.recaller,
            DiscardDesk(self.spool, self.holds),
            self.load,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set or a part fails."""
        await self.spool.start()
        try:
            await self._take_up()
            async with asyncio.TaskGroup() as group:
                services = [group.create_task(part) for part in self._services()]
                recovered = group.create_task(self._recover())
                workers = [
                    group.create_task(self.hand_over.work())
                    for _ in range(self._config.postfix.connections)
                ]
                notify.notify("READY=1")
                await stop.wait()
                notify.notify("STOPPING=1")
                self.hand_over.stop()
                recovered.cancel()
                await asyncio.wait(workers, timeout=STOP_TIMEOUT_S)
                for task in (*services, *workers):
                    task.cancel()
        finally:
            await self.spool.stop()

    def _services(self) -> list[Coroutine[object, object, None]]:
        return [
            self.follower.run(),
            self.gateway.run(),
            self.log_room.run(),
            self.specs.run(),
            self.holds.run(),
            self.queue_watch.run(),
            self.recaller.run(),
            self.caller.run(),
            self.prober.run(),
            self._maintain(),
            notify.watchdog(self.spool.alive),
        ]

    async def _take_up(self) -> None:
        """Go on where the process before ended."""
        self.right.highest_epoch = int(str(await self.spool.recall("highest_epoch", 0)))
        released = await self.spool.recall("released", {})
        if isinstance(released, dict):
            self.right.released = {str(k): int(v) for k, v in released.items()}
        stored = await self.spool.recall_octets("suspensions")
        if stored is not None:
            told = node_pb2.Suspensions.FromString(stored)
            self.right.suspensions = suspensions.read(told.suspensions)
        await self.specs.load()
        for message in await self.spool.in_states(State.STORED):
            self.hand_over.put_in_room(message)

    async def _recover(self) -> None:
        """What was on its way into Postfix when the process before ended: ask the evidence."""
        assert self.hand_over.evidence is not None
        handing = {m.id: m for m in await self.spool.in_states(State.HANDING)}
        while handing:
            try:
                learned = await self.hand_over.evidence.resolve(list(handing), 0)
            except EvidenceError as error:
                _log.warning("no-evidence", why=str(error), messages=len(handing))
                await asyncio.sleep(5.0)
                continue
            await self.learned(learned)
            for one in learned:
                if one.step.state is State.STORED:
                    self.hand_over.put_in_room(handing[one.message_id])
            return

    async def learned(self, learned: list[Learned]) -> None:
        """Facts were written down: see to what follows from them."""
        for one in learned:
            if one.step.state is not State.STORED:
                self.room.discard(one.message_id)
            if one.step.hold and one.fact.queue_id:
                self.holds.want(one.message_id, one.fact.queue_id)
            if one.step.doubled:
                metrics.DOUBLED.inc()
                _log.error("doubled", message=one.message_id, queue_id=one.fact.queue_id)
            if egress_id := stopped_before_the_proxy(one.fact):
                self.prober.hurry(egress_id)
            if one.step.event is not None:
                kind = node_pb2.EventKind.Name(one.step.event).removeprefix("EVENT_KIND_").lower()
                metrics.EVENTS.labels(kind).inc()
                if one.fact.gateway_stage:
                    metrics.LOCAL_DEFERRALS.labels(one.fact.gateway_stage).inc()
        self.outbox.grew()

    def _right_changed(self) -> None:
        self.gateway.changed()
        self.hand_over.wake()

    def load(self) -> node_pb2.NodeLoad:
        """What a heartbeat carries."""
        sizes = self.queue_watch.sizes
        return node_pb2.NodeLoad(
            spooled=len(self.room),
            queued=sum(sizes.values()),
            deferred=sizes.get("deferred", 0),
            disk_free_bytes=self.spool.free_octets(),
            open_connections=sum(e.open_connections for e in self.gateway.status.egresses),
        )

    async def _maintain(self) -> None:
        while True:
            await self.release.sweep()
            counts = await self.spool.counts()
            for state in ("stored", "handing", "queued", "recalling", "uncertain"):
                metrics.MESSAGES.labels(state).set(counts.get(state, 0))
            acked, last = await self.spool.event_bounds()
            metrics.OUTBOX.set(last - acked)
            metrics.DISK_FREE.set(self.spool.free_octets())
            metrics.SPOOL_COMMITS.set(self.spool.commits)
            lease = self.right.lease
            left_ns = lease.trusted_until_ns - clock.boottime_ns() if lease else 0
            metrics.LEASE_SECONDS.set(max(left_ns, 0) / 1e9)
            await self.spool.forget_final(clock.wall_ms() - REMEMBER_FINAL_MS)
            await self.spool.compact()
            await asyncio.sleep(MAINTENANCE_S)

    async def _report_spec(self, result: node_pb2.SpecResult) -> None:
        await self.caller.say(node_pb2.NodeMessage(spec_result=result))

    def _hear(self) -> Hearing:
        lease = self.right.lease
        return Hearing(self.caller.session, lease.trusted_until_ns if lease else 0)

    async def _report_probe(self, report: node_pb2.ProbeReport) -> bool:
        return await self.caller.say(node_pb2.NodeMessage(probe_report=report))
