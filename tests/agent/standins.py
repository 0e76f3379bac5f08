"""The agent's neighbours, small but speaking the real protocols: controller and apply.

The controller is a real gRPC server with mTLS; it grants, stores every event once by (spool, seq)
as the real one does, and answers as the test orders. The apply stand-in does postsuper(1) for real.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import grpc
import grpc.aio
from postfleet.v1 import local_pb2, node_pb2, node_pb2_grpc, spec_pb2

from node_agent.apply.queue_command import checked
from node_agent.local.apply_reply import encode_apply_reply
from tests.agent.postfix_box import PostfixBox
from tests.agent.samples import SPEC, message_id


class Controller(node_pb2_grpc.NodeServiceServicer):
    """`start` it, then `dispatch`, `say` and look at `events`."""

    def __init__(self, credentials: Path, address: str) -> None:
        self._credentials = credentials
        self._address = address
        self._port = 0
        self._server: grpc.aio.Server | None = None
        self._out: asyncio.Queue[node_pb2.ControllerMessage] | None = None
        self._unstored: dict[str, node_pb2.DispatchedMessage] = {}
        self.spec = SPEC
        self.epoch = 1
        self.egress_ids = ["px001"]
        self.ttl_ms, self.margin_ms, self.heartbeat_ms = 20_000, 2_000, 200
        # what its clock says beyond the node's own
        self.clock_ahead_ms = 0
        self.granting = True
        self.acking = True
        self.hellos: list[node_pb2.Hello] = []
        self.heartbeats: list[node_pb2.Heartbeat] = []
        self.events: dict[tuple[str, int], node_pb2.MessageEvent] = {}
        self.repeated = 0
        self.stored: list[str] = []
        self.refused: dict[str, str] = {}
        self.spec_results: list[node_pb2.SpecResult] = []
        self.discarded: list[list[str]] = []
        self.probes: list[node_pb2.ProbeReport] = []
        self.releases: list[node_pb2.ReleaseResult] = []
        self.heard: list[str] = []

    @property
    def endpoint(self) -> str:
        return f"{self._address}:{self._port}"

    async def start(self) -> None:
        self._server = grpc.aio.server(
            options=[("grpc.max_receive_message_length", 1 << 27), ("grpc.so_reuseport", 0)]
        )
        node_pb2_grpc.add_NodeServiceServicer_to_server(self, self._server)
        place = self._credentials
        credentials = grpc.ssl_server_credentials(
            [((place / "server.key").read_bytes(), (place / "server.pem").read_bytes())],
            (place / "ca.pem").read_bytes(),
            require_client_auth=True,
        )
        self._port = self._server.add_secure_port(f"{self._address}:{self._port}", credentials)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def say(self, message: node_pb2.ControllerMessage) -> None:
        assert self._out is not None
        self._out.put_nowait(message)

    def dispatch(self, *messages: node_pb2.DispatchedMessage) -> None:
        """Send now and again in each session until stored or refused."""
        for message in messages:
            self._unstored[message.message_id] = message
        if self._out is not None:
            self._say_dispatch(list(messages))

    def _say_dispatch(self, messages: list[node_pb2.DispatchedMessage]) -> None:
        for start in range(0, len(messages), 100):
            part = messages[start : start + 100]
            self.say(node_pb2.ControllerMessage(dispatch=node_pb2.Dispatch(messages=part)))

    async def Session(
        self,
        request_iterator: AsyncIterator[node_pb2.NodeMessage],
        context: grpc.aio.ServicerContext[node_pb2.NodeMessage, node_pb2.ControllerMessage],
    ) -> AsyncIterator[node_pb2.ControllerMessage]:
        out: asyncio.Queue[node_pb2.ControllerMessage] = asyncio.Queue()
        self._out = out
        out.put_nowait(
            node_pb2.ControllerMessage(
                welcome=node_pb2.Welcome(heartbeat_interval_ms=self.heartbeat_ms)
            )
        )
        out.put_nowait(node_pb2.ControllerMessage(spec=self.spec))
        hearing = asyncio.create_task(self._hear(request_iterator, out))
        self._say_dispatch(list(self._unstored.values()))
        try:
            while not hearing.done():
                with suppress(TimeoutError):
                    yield await asyncio.wait_for(out.get(), 0.2)
        finally:
            hearing.cancel()
            if self._out is out:
                self._out = None

    async def _hear(
        self,
        messages: AsyncIterator[node_pb2.NodeMessage],
        out: asyncio.Queue[node_pb2.ControllerMessage],
    ) -> None:
        async for message in messages:
            kind = message.WhichOneof("body") or ""
            if kind != "heartbeat":
                self.heard.append(kind)
            if kind == "hello":
                self.hellos.append(message.hello)
            elif kind == "heartbeat":
                self.heartbeats.append(message.heartbeat)
                if self.granting:
                    out.put_nowait(self._grant(message.heartbeat.seq))
            elif kind == "event_report":
                self._take_events(message.event_report, out)
            elif kind == "dispatch_result":
                self._take_result(message.dispatch_result)
            elif kind == "spec_result":
                self.spec_results.append(message.spec_result)
            elif kind == "discard_result":
                self.discarded.append(list(message.discard_result.message_ids))
            elif kind == "probe_report":
                self.probes.append(message.probe_report)
            elif kind == "release_result":
                self.releases.append(message.release_result)

    def _grant(self, seq: int) -> node_pb2.ControllerMessage:
        grant = node_pb2.LeaseGrant(
            heartbeat_seq=seq,
            epoch=self.epoch,
            ttl_ms=self.ttl_ms,
            margin_ms=self.margin_ms,
            egress_ids=self.egress_ids,
        )
        grant.at.FromMilliseconds(time.time_ns() // 1_000_000 + self.clock_ahead_ms)
        return node_pb2.ControllerMessage(lease_grant=grant)

    def _take_events(
        self,
        report: node_pb2.EventReport,
        out: asyncio.Queue[node_pb2.ControllerMessage],
    ) -> None:
        for event in report.events:
            key = (report.spool_id, event.seq)
            self.repeated += key in self.events
            known = self.events.setdefault(key, event)
            assert known == event, "an event was told twice, differently"
        if self.acking and report.events:
            out.put_nowait(
                node_pb2.ControllerMessage(
                    event_ack=node_pb2.EventAck(
                        spool_id=report.spool_id, up_to_seq=report.events[-1].seq
                    )
                )
            )

    def _take_result(self, result: node_pb2.DispatchResult) -> None:
        self.stored += result.stored
        self.refused.update({r.message_id: r.code for r in result.refused})
        for one in (*result.stored, *(r.message_id for r in result.refused)):
            self._unstored.pop(one, None)

    def kinds(self, number: int) -> list[str]:
        """The events of one message, in order, without QUEUED's prefix."""
        return [
            node_pb2.EventKind.Name(e.kind).removeprefix("EVENT_KIND_").lower()
            for _, e in sorted(self.events.items())
            if e.message_id == message_id(number)
        ]

    def event(self, number: int, kind: str) -> node_pb2.MessageEvent:
        """The last event of this kind of one message."""
        return [
            e
            for _, e in sorted(self.events.items())
            if e.message_id == message_id(number)
            and e.kind == node_pb2.EventKind.Value(f"EVENT_KIND_{kind.upper()}")
        ][-1]

    def holes(self) -> list[int]:
        """Numbers missing below the highest, of any spool."""
        missing = []
        for spool_id in {s for s, _ in self.events}:
            seqs = {q for s, q in self.events if s == spool_id}
            missing += sorted(set(range(1, max(seqs) + 1)) - seqs)
        return missing


class Apply:
    """The apply socket: every spec "runs", queue commands go to the box's postsuper."""

    def __init__(self, path: Path, box: PostfixBox | None) -> None:
        self._path = path
        self._box = box
        self._server: asyncio.Server | None = None
        self.specs: list[spec_pb2.NodeSpec] = []
        self.commands: list[local_pb2.QueueCommand] = []
        self.failure: tuple[str, str] | None = None
        # Called around each queue command with its action and whether it is done; a test may kill
        # the agent there.
        self.at: Callable[[local_pb2.QueueAction, bool], None] = lambda _action, _done: None

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = local_pb2.ApplyRequest.FromString(await reader.read())
        reply = local_pb2.ApplyReply(complete=True)
        if self.failure is not None:
            reply.stage, reply.error = self.failure
        elif request.WhichOneof("body") == "spec":
            self.specs.append(request.spec)
            reply.running_generation = request.spec.generation
        else:
            self.commands.append(request.queue)
            self.at(request.queue.action, False)
            await asyncio.to_thread(self._queue, request.queue)
            self.at(request.queue.action, True)
        writer.write(encode_apply_reply(reply))
        writer.close()

    def _queue(self, command: local_pb2.QueueCommand) -> None:
        (option, _, *queues), queue_ids = checked(command)
        assert self._box is not None
        for queue_id in queue_ids:
            self._box.chroot("postsuper", option, queue_id, *queues)


def fresh_id() -> str:
    """A short random name."""
    return secrets.token_hex(3)
