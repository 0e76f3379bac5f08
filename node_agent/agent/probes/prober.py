"""Probes the egresses of the running spec and reports what it finds."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import structlog
from postfleet.v1 import node_pb2, spec_pb2

from node_agent.agent import metrics
from node_agent.agent.probes.opinion import Hear, judge
from node_agent.agent.probes.probe import ProbeResult, leads_to, probe
from node_agent.agent.probes.schedule import ProbeSchedule
from node_agent.agent.right import Right

# Each waits most of the time. A node that is cut off from its proxies waits for all of them, until
# the timeout of each.
THREADS = 16
POLL_S = 0.5
DEFAULT_INTERVAL_S = 300
DEFAULT_TIMEOUT_S = 10.0

_log = structlog.get_logger("probes")
Look = Callable[[spec_pb2.Egress, str, float], ProbeResult]


class Prober:
    """`run` for ever. `report` returns False while there is no session; `hear`: what we hear of the
    controller; `controller`: "host:port" at which agents dial it."""

    def __init__(
        self,
        right: Right,
        report: Callable[[node_pb2.ProbeReport], Awaitable[bool]],
        hear: Hear,
        controller: str,
    ) -> None:
        self._right = right
        self._report = report
        self._hear = hear
        self._controller = controller
        self._session = 0
        self._schedule = ProbeSchedule(random.Random())  # noqa: S311 - jitter
        self._threads = ThreadPoolExecutor(THREADS, "probe")
        # Last result of each egress; told again in a new session.
        self._last: dict[str, ProbeResult] = {}
        self._untold: set[str] = set()
        # How often in a row an egress has failed at the stage of its last result.
        self._in_a_row: Counter[str] = Counter()

    def hurry(self, egress_id: str) -> None:
        """Mail did not get through this egress: look soon."""
        self._schedule.hurry(egress_id, time.monotonic())

    async def run(self) -> None:
        """Probe for ever."""
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                egresses = {e.id: e for e in self._right.spec.egresses}
                self._forget(set(egresses))
                target = self._right.spec.gateway.probe_target
                now_s = time.monotonic()
                self._schedule.use({i: _fingerprint(e, target) for i, e in egresses.items()}, now_s)
                for egress_id in self._schedule.take_due(now_s):
                    task = asyncio.create_task(self._probe(egresses[egress_id], target))
                    running.add(task)
                    task.add_done_callback(running.discard)
                await self._tell()
                await asyncio.sleep(POLL_S)
        finally:
            for task in running:
                task.cancel()
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _probe(self, egress: spec_pb2.Egress, target: str) -> None:
        settings = self._right.spec.gateway
        timeout_s = settings.connect_timeout_ms / 1000 or DEFAULT_TIMEOUT_S

        def look() -> Awaitable[ProbeResult]:
            return self._in_thread(probe, egress, target, timeout_s)

        def other_door() -> Awaitable[ProbeResult]:
            return self._in_thread(leads_to, egress, self._controller, timeout_s)

        heard = self._hear()
        first = await look()
        result = await judge(first, heard, self._hear, look, other_door)
        interval_s = settings.probe_interval_s or DEFAULT_INTERVAL_S
        is_good = result is not None and result.healthy
        self._schedule.done(egress.id, is_good, interval_s, time.monotonic())
        if result is None:
            metrics.PROBES.labels("unknown").inc()
            _log.info("probe-says-nothing", egress=egress.id, stage=first.stage, why=first.detail)
            return
        before = self._last.get(egress.id)
        if before is None or before.stage != result.stage:
            _log.info("probed", egress=egress.id, stage=result.stage, detail=result.detail)
        alike = before is not None and before.stage == result.stage
        self._in_a_row[egress.id] = self._in_a_row[egress.id] + 1 if alike else 1
        self._last[egress.id] = result
        self._untold.add(egress.id)
        metrics.PROBES.labels(result.stage or "ok").inc()
        metrics.PROBE_HEALTHY.labels(egress.id).set(result.healthy)

    async def _in_thread(
        self, look: Look, egress: spec_pb2.Egress, target: str, timeout_s: float
    ) -> ProbeResult:
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, look, egress, target, timeout_s
        )

    async def _tell(self) -> None:
        session = self._hear().session
        if session and session != self._session:
            # A controller listens anew: what it was told before may have been lost.
            self._session = session
            self._untold |= set(self._last)
        for egress_id in sorted(self._untold & set(self._last)):
            result = self._last[egress_id]
            report = node_pb2.ProbeReport(
                egress_id=egress_id,
                healthy=result.healthy,
                stage=result.stage,
                detail=result.detail,
                exit_ip=result.exit_ip,
                latency_ms=result.latency_ms,
                in_a_row=0 if result.healthy else self._in_a_row[egress_id],
            )
            if not await self._report(report):
                return
            self._untold.discard(egress_id)

    def _forget(self, egress_ids: set[str]) -> None:
        for egress_id in set(self._last) - egress_ids:
            del self._last[egress_id], self._in_a_row[egress_id]
            metrics.PROBE_HEALTHY.remove(egress_id)


def _fingerprint(egress: spec_pb2.Egress, target: str) -> bytes:
    """What a probe's result depends on."""
    looked_at = spec_pb2.Egress(id=egress.id, public_ip=egress.public_ip)
    if egress.WhichOneof("exit") == "socks5":
        looked_at.socks5.CopyFrom(egress.socks5)
    elif egress.WhichOneof("exit") == "address":
        looked_at.address.CopyFrom(egress.address)
    return looked_at.SerializeToString(deterministic=True) + target.encode()
