"""Has specs applied, the newest only, and remembers the one that runs (probes need it after a
restart without a controller).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import structlog
from google.protobuf.message import DecodeError
from postfleet.v1 import local_pb2, node_pb2, spec_pb2

from node_agent.agent import metrics
from node_agent.agent.backoff import delay_s
from node_agent.agent.right import Right
from node_agent.agent.spool.spool import Spool
from node_agent.local import apply_client
from node_agent.local.errors import LocalError

_log = structlog.get_logger("spec")


class SpecKeeper:
    """`offer` specs; `run` applies them one at a time, each within `applying`. `report` gets each
    SpecResult."""

    def __init__(
        self,
        spool: Spool,
        right: Right,
        node_id: str,
        apply_socket: Path,
        report: Callable[[node_pb2.SpecResult], Awaitable[None]],
        on_running: Callable[[], None],
        applying: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._spool = spool
        self._right = right
        self._node_id = node_id
        self._socket = apply_socket
        self._report = report
        self._on_running = on_running
        self._applying = applying
        self._wanted: spec_pb2.NodeSpec | None = None
        self._offered = asyncio.Event()
        self._dice = random.Random()  # noqa: S311 - jitter

    @property
    def running_generation(self) -> int:
        """0: none applied yet."""
        return self._right.spec.generation

    async def load(self) -> None:
        """Take up the spec that ran before; it is offered again (apply says unchanged)."""
        stored = await self._spool.recall_octets("spec")
        if stored is None:
            return
        try:
            spec = spec_pb2.NodeSpec.FromString(stored)
        except DecodeError:
            _log.error("stored-spec-unreadable", hint="the controller sends it again")
            return
        self._right.use_spec(spec)
        self.offer(spec)

    def offer(self, spec: spec_pb2.NodeSpec) -> None:
        """This is wanted now, instead of anything offered before."""
        self._wanted = spec
        self._offered.set()

    async def run(self) -> None:
        """Apply for ever. Where apply cannot be asked, ask again with back-off."""
        failures = 0
        while True:
            wait_s = delay_s(failures, 1.0, 60.0, self._dice) if failures else None
            with suppress(TimeoutError):
                await asyncio.wait_for(self._offered.wait(), wait_s)
            self._offered.clear()
            spec = self._wanted
            if spec is None:
                continue
            asked = await self._apply(spec)
            failures = 0 if asked else failures + 1

    async def _apply(self, spec: spec_pb2.NodeSpec) -> bool:
        """Apply one and report; False: apply could not be asked, try again."""
        if spec.node_id != self._node_id:
            await self._tell(spec, "validate", f"the spec is node {spec.node_id!r}'s")
            return True
        try:
            with self._applying():
                reply = await apply_client.apply(local_pb2.ApplyRequest(spec=spec), self._socket)
        except LocalError as error:
            _log.warning("apply-not-asked", generation=spec.generation, error=str(error))
            await self._tell(spec, "apply", str(error))
            return False
        if reply.stage:
            _log.error(
                "spec-failed", generation=spec.generation, stage=reply.stage, error=reply.error
            )
            await self._tell(spec, reply.stage, reply.error)
            return True
        await self._spool.remember_octets("spec", spec.SerializeToString())
        self._right.use_spec(spec)
        metrics.GENERATION.set(spec.generation)
        _log.info("spec-runs", generation=spec.generation, unchanged=reply.unchanged)
        self._on_running()
        await self._tell(spec, "", "")
        return True

    async def _tell(self, spec: spec_pb2.NodeSpec, stage: str, error: str) -> None:
        if stage:
            metrics.SPEC_FAILURES.labels(stage).inc()
        await self._report(
            node_pb2.SpecResult(
                generation=spec.generation,
                running_generation=self.running_generation,
                applied=not stage,
                stage=stage,
                error=error,
            )
        )
