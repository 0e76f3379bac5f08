"""Keeps a session with the controller: dials, says Hello, converses, dials again.

Back-off with full jitter, so that a fleet does not come back in one instant.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import grpc
import grpc.aio
import structlog
from postfleet.v1 import node_pb2, node_pb2_grpc

from node_agent.agent import metrics
from node_agent.agent.backoff import delay_s
from node_agent.agent.config import AgentConfig
from node_agent.agent.errors import ConfigError
from node_agent.agent.session.conversation import Conversation, Desks
from node_agent.agent.session.dial import channel
from node_agent.agent.session.outgoing import Outgoing
from node_agent.agent.version import version

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_log = structlog.get_logger("session")


class Caller:
    """`run` for ever. `say` reaches the session that is open, if one is."""

    def __init__(self, config: AgentConfig, desks: Desks) -> None:
        self._config = config
        self._desks = desks
        self._outgoing: Outgoing | None = None
        self._dice = random.Random()  # noqa: S311 - jitter
        self._sessions = 0

    @property
    def session(self) -> int:
        """A number for the open session that no other has; 0 while none is open."""
        return 0 if self._outgoing is None else self._sessions

    async def say(self, message: node_pb2.NodeMessage) -> bool:
        """Send in the open session; False where none is open."""
        outgoing = self._outgoing
        if outgoing is None:
            return False
        await outgoing.say(message)
        return True

    async def run(self) -> None:
        """Dial for ever."""
        failures = 0
        while True:
            granted = await self._session()
            failures = 1 if granted else failures + 1
            wait_s = delay_s(failures, FIRST_WAIT_S, LONGEST_WAIT_S, self._dice)
            _log.info("dialling-again", wait_s=round(wait_s, 2), failures=failures)
            await asyncio.sleep(wait_s)

    async def _session(self) -> bool:
        """One session from dialling to its end; whether it was a working one."""
        outgoing = Outgoing()
        conversation = Conversation(self._desks, outgoing)
        try:
            async with channel(self._config) as link:
                call = node_pb2_grpc.NodeServiceStub(link).Session()
                await self._converse(call, conversation, outgoing)
        except* (grpc.aio.AioRpcError, TimeoutError, asyncio.InvalidStateError) as errors:
            for error in errors.exceptions:
                _log.warning("session-ended", error=_words(error))
        except* ConfigError as errors:
            _log.error("cannot-dial", error=str(errors.exceptions[0]))
        return conversation.granted

    async def _converse(
        self,
        call: grpc.aio.StreamStreamCall[node_pb2.NodeMessage, node_pb2.ControllerMessage],
        conversation: Conversation,
        outgoing: Outgoing,
    ) -> None:
        await call.write(node_pb2.NodeMessage(hello=self._hello()))
        metrics.SESSIONS.inc()
        self._sessions += 1
        self._outgoing = outgoing
        writer = asyncio.create_task(outgoing.write_all(call.write))
        try:
            await conversation.hold(aiter(call))
        finally:
            self._outgoing = None
            metrics.CONNECTED.set(0)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            call.cancel()

    def _hello(self) -> node_pb2.Hello:
        return node_pb2.Hello(
            node_id=self._config.node_id,
            agent_version=version(),
            boot_id=BOOT_ID.read_text(encoding="ascii").strip(),
            spool_id=self._desks.spool.spool_id,
            running_generation=self._desks.specs.running_generation,
        )


def _words(error: BaseException) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return repr(error)
