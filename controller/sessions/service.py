"""NodeService: the stream of each node. Reads, takes and writes until one side ends it.

Heartbeats are answered as they come; what else a node says is taken in order beside that.

A session ends when the node closes it, says nothing for as long as a lease lasts, is superseded or
refused, or the database cannot be reached (UNAVAILABLE: dial again). Whatever was not acknowledged
then is repeated by either side in the next session.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import structlog
from postfleet.v1 import node_pb2, node_pb2_grpc

from controller.audit import Pace
from controller.desired.current import CurrentFleet
from controller.events.recorder import Recorder
from controller.keys.errors import UnknownIdentityError
from controller.keys.identity import peer_identity
from controller.sessions import metrics
from controller.sessions.admission import admit
from controller.sessions.dispatch_answers import resend_unacknowledged
from controller.sessions.errors import (
    ControllerStops,
    SessionBroken,
    SessionError,
    SessionRefused,
    SessionSuperseded,
)
from controller.sessions.heartbeats import Heartbeats
from controller.sessions.inbox import Inbox
from controller.sessions.incoming import take
from controller.sessions.pusher import Pusher
from controller.sessions.registry import Registry
from controller.sessions.session import NodeSession
from controller.store import Store, queries
from controller.store.errors import StoreError

_SQL = queries.load("sessions")
_log = structlog.get_logger(__name__)
_HELLO_WITHIN_S = 20.0

# EOF among the messages is something the stubs of grpc do not know.
Context = grpc.aio.ServicerContext[Any, node_pb2.ControllerMessage]


class NodeService(node_pb2_grpc.NodeServiceServicer):
    """Serves any number of nodes on one event loop."""

    def __init__(
        self,
        store: Store,
        current: CurrentFleet,
        registry: Registry,
        pusher: Pusher,
        recorder: Recorder,
        heartbeats: Heartbeats,
    ) -> None:
        self._store = store
        self._current = current
        self._registry = registry
        self._pusher = pusher
        self._recorder = recorder
        self._heartbeats = heartbeats
        self._pace = Pace()

    async def Session(  # type: ignore[override]  # noqa: N802 (gRPC's name)
        self,
        request_iterator: Any,  # noqa: ARG002 (the context reads)
        context: Any,
    ) -> None:
        """One stream; see the module."""
        try:
            identity = peer_identity(context)
            session = await admit(self._store, identity, await _hello(context), self._pace)
            await self._serve(session, context)
            ending, status, words = "closed", None, ""
        except (SessionRefused, UnknownIdentityError) as error:
            ending, status, words = "refused", grpc.StatusCode.PERMISSION_DENIED, str(error)
        except SessionSuperseded as error:
            ending, status, words = "superseded", grpc.StatusCode.ABORTED, str(error)
        except ControllerStops as error:
            ending, status, words = "stopped", grpc.StatusCode.UNAVAILABLE, str(error)
        except SessionError as error:
            ending, status, words = "broken", grpc.StatusCode.FAILED_PRECONDITION, str(error)
        except StoreError as error:
            ending, status, words = "store", grpc.StatusCode.UNAVAILABLE, str(error)
        metrics.SESSIONS_ENDED.labels(ending).inc()
        if status is not None:
            _log.warning("session ended", peer=context.peer(), reason=ending, why=words)
            await context.abort(status, words)

    async def _serve(self, session: NodeSession, context: Context) -> None:
        self._registry.enter(session)
        metrics.SESSIONS.set(len(self._registry))
        _log.info("session began", node=session.node_id, session=session.session_id)
        tasks: list[asyncio.Task[None]] = []
        inbox = Inbox()
        try:
            await self._greet(session)
            tasks = [
                asyncio.create_task(self._read(inbox, context)),
                asyncio.create_task(self._answer(session, inbox)),
                asyncio.create_task(self._take(session, inbox)),
                asyncio.create_task(_write(session, context)),
                asyncio.create_task(_until_ended(session)),
            ]
            await self._resend(session)
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._leave(session)

    async def _greet(self, session: NodeSession) -> None:
        """Welcome, and what is suspended, before any grant."""
        session.outbox.put(
            node_pb2.ControllerMessage(
                welcome=node_pb2.Welcome(heartbeat_interval_ms=self._current.timing.heartbeat_ms)
            )
        )
        await self._pusher.look_at([session])

    async def _resend(self, session: NodeSession) -> None:
        resent = await resend_unacknowledged(self._store, session)
        if resent:
            _log.info("mail sent again", node=session.node_id, count=resent)

    async def _read(self, inbox: Inbox, context: Context) -> None:
        while True:
            silence_s = max(self._current.timing.ttl_s, 3 * self._current.timing.heartbeat_s)
            try:
                async with asyncio.timeout(silence_s):
                    message = await context.read()
            except TimeoutError:
                raise SessionBroken(f"nothing was heard for {silence_s:.0f} s") from None
            if message is grpc.aio.EOF:
                await inbox.done()
                return
            await inbox.put(message)

    async def _answer(self, session: NodeSession, inbox: Inbox) -> None:
        while True:
            granted = await self._heartbeats.answer(session, await inbox.heartbeat())
            metrics.HEARTBEATS.labels("granted" if granted else "not-granted").inc()

    async def _take(self, session: NodeSession, inbox: Inbox) -> None:
        while True:
            await take(self._store, self._recorder, session, await inbox.rest())

    async def _leave(self, session: NodeSession) -> None:
        self._registry.leave(session)
        metrics.SESSIONS.set(len(self._registry))
        try:
            await self._store.execute(
                _SQL["end"], node_id=session.node_id, session_id=session.session_id
            )
        except StoreError as error:
            # Only what people are shown: the lease says what matters, and nobody renews it now.
            _log.warning("session's end not recorded", node=session.node_id, why=str(error))
        _log.info("session left", node=session.node_id, session=session.session_id)


async def _until_ended(session: NodeSession) -> None:
    raise await session.ended


async def _write(session: NodeSession, context: Context) -> None:
    while True:
        await context.write(await session.outbox.get())


async def _hello(context: Context) -> node_pb2.Hello:
    try:
        async with asyncio.timeout(_HELLO_WITHIN_S):
            message = await context.read()
    except TimeoutError:
        raise SessionBroken(f"no Hello within {_HELLO_WITHIN_S:.0f} s") from None
    if message is grpc.aio.EOF or message.WhichOneof("body") != "hello":
        raise SessionBroken("the first message of a session is Hello")
    hello: node_pb2.Hello = message.hello
    return hello
