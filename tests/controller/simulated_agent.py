"""A simulated agent: a whole node in one object, speaking NodeService.Session over real mTLS.

It keeps the node's half of every rule: stores before it acknowledges, hands over only what its
lease covers, reports until acknowledged, dials again when the stream breaks. `handed_over` counts
how often each message went out: the witness of "never twice".
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable

import grpc
from postfleet.v1 import node_pb2, node_pb2_grpc

from controller.keys.authority import SERVER_NAME, Issued

_OPTIONS = [
    ("grpc.ssl_target_name_override", SERVER_NAME),
    ("grpc.max_receive_message_length", 128 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
]


def channel(target: str, ca_pem: bytes, issued: Issued) -> grpc.aio.Channel:
    """A connection with a client certificate."""
    credentials = grpc.ssl_channel_credentials(ca_pem, issued.key_pem, issued.certificate_pem)
    return grpc.aio.secure_channel(target, credentials, options=_OPTIONS)


class SimulatedAgent:
    """A node. `run` keeps a session open for ever; state survives sessions, as a disk would."""

    def __init__(self, node_id: str, targets: str, ca_pem: bytes, issued: Issued) -> None:
        """`targets`: HOST:PORT, or several with commas, dialled in turn."""
        self.node_id = node_id
        self._targets = itertools.cycle(targets.split(","))
        self._ca_pem = ca_pem
        self._issued = issued
        self.boot_id = uuid.uuid4().hex
        self.spool_id = uuid.uuid4().hex
        self.spec: object | None = None
        self.running_generation = 0
        self.mailboxes: dict[str, str] = {}
        self.epoch = 0
        self.granted: frozenset[str] = frozenset()
        self.trusted_until_s = 0.0
        # Egress to the term in which it was given back: closed until a later one names it.
        self.given_back: dict[str, int] = {}
        self.spool: dict[str, node_pb2.DispatchedMessage] = {}
        self.done: set[str] = set()
        self.tried: set[str] = set()
        self.cancelled: list[str] = []
        self.handed_over: Counter[str] = Counter()
        self.events: list[node_pb2.MessageEvent] = []
        self.next_seq = 1
        self.suspensions: list[node_pb2.Suspension] = []
        self.sessions = 0
        self.grants: list[node_pb2.LeaseGrant] = []
        self.refusals: list[tuple[str, str]] = []
        # Knobs.
        self.refuse_specs = False
        self._offered: object = None
        self.hand_over = True
        self.answer_dispatch = True
        # Every receiver greylists: mail stays in the queue, tried once.
        self.greylisted = False
        self.retry_s = 2.0
        # How far on it believes the time to be when it looks at what is due.
        self.ahead_s = 0.0
        self.code: grpc.StatusCode | None = None
        self.details = ""
        self.endings: list[str] = []
        self._out: asyncio.Queue[node_pb2.NodeMessage] = asyncio.Queue()
        self._sent_at: dict[int, float] = {}
        self._ttl = (0.0, 0.0)

    def dial_next(self) -> None:
        """Skips a target, so that agents begin at different ones."""
        next(self._targets)

    async def run(self, *, again: bool = True) -> None:
        """Dials until cancelled (or once)."""
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await self.one_session()
            if not again:
                return
            await asyncio.sleep(0.1)

    async def one_session(self) -> None:
        """One session until it ends; `code` and `details` say how."""
        self._out = asyncio.Queue()
        self._sent_at.clear()
        async with channel(next(self._targets), self._ca_pem, self._issued) as link:
            call = node_pb2_grpc.NodeServiceStub(link).Session(self._requests())
            self.sessions += 1
            try:
                async for message in call:
                    self._take(message)
                self.code = await call.code()
            except grpc.aio.AioRpcError as error:
                self.code, self.details = error.code(), error.details() or ""
                self.endings.append(self.details)
                raise
            finally:
                call.cancel()

    async def _requests(self) -> AsyncIterator[node_pb2.NodeMessage]:
        hello = node_pb2.Hello(
            node_id=self.node_id, agent_version="test", boot_id=self.boot_id,
            spool_id=self.spool_id, running_generation=self.running_generation,
        )  # fmt: skip
        yield node_pb2.NodeMessage(hello=hello)
        if self.events:
            yield self._report(self.events)
        seq = 0
        while True:
            seq += 1
            self._sent_at[seq] = time.monotonic()
            load = node_pb2.NodeLoad(spooled=len(self.spool) - len(self.done))
            yield node_pb2.NodeMessage(
                heartbeat=node_pb2.Heartbeat(
                    seq=seq, running_generation=self.running_generation, load=load
                )
            )
            until = time.monotonic() + 0.2
            while (left := until - time.monotonic()) > 0:
                with contextlib.suppress(TimeoutError):
                    yield await asyncio.wait_for(self._out.get(), left)
                self._hand_over()

    def _report(self, events: list[node_pb2.MessageEvent]) -> node_pb2.NodeMessage:
        return node_pb2.NodeMessage(
            event_report=node_pb2.EventReport(spool_id=self.spool_id, events=events)
        )

    def put(self, **body: object) -> None:
        """Says something to the controller."""
        self._out.put_nowait(node_pb2.NodeMessage(**body))  # type: ignore[arg-type]

    def _take(self, message: node_pb2.ControllerMessage) -> None:
        kind = message.WhichOneof("body")
        if kind == "lease_grant":
            self._granted(message.lease_grant)
        elif kind == "spec":
            self._apply(message.spec)
        elif kind == "dispatch":
            self._store(message.dispatch)
        elif kind == "event_ack":
            up_to = message.event_ack.up_to_seq
            self.events = [event for event in self.events if event.seq > up_to]
        elif kind == "suspensions":
            self.suspensions = list(message.suspensions.suspensions)
        elif kind == "release":
            self._release(message.release)
        elif kind == "cancel":
            self.cancelled += message.cancel.message_ids
            if back := [i for i in message.cancel.message_ids if i in self.unsent(self.granted)]:
                self.recall(back)

    def _granted(self, grant: node_pb2.LeaseGrant) -> None:
        self.grants.append(grant)
        sent = self._sent_at.get(grant.heartbeat_seq)
        if sent is None or grant.epoch < self.epoch:
            return
        self.epoch = grant.epoch
        self.granted = frozenset(
            id for id in grant.egress_ids if self.given_back.get(id, 0) < grant.epoch
        )
        self.trusted_until_s = sent + (grant.ttl_ms - grant.margin_ms) / 1000

    def end_late(self) -> None:
        """The spec that was refused last runs after all."""
        self.refuse_specs = False
        self._apply(self._offered)

    def _apply(self, spec: object) -> None:
        self._offered = spec
        if not self.refuse_specs:
            self.spec = spec
            self.running_generation = spec.generation  # type: ignore[attr-defined]
            self.mailboxes = {
                box: egress.id
                for egress in spec.egresses  # type: ignore[attr-defined]
                for box in egress.mailboxes
            }
        self.put(
            spec_result=node_pb2.SpecResult(
                generation=spec.generation,  # type: ignore[attr-defined]
                running_generation=self.running_generation,
                applied=not self.refuse_specs,
                stage="render" if self.refuse_specs else "",
                error="no" if self.refuse_specs else "",
            )
        )

    def _store(self, dispatch: node_pb2.Dispatch) -> None:
        result = node_pb2.DispatchResult()
        for message in dispatch.messages:
            if message.message_id in self.spool:
                result.stored.append(message.message_id)
            elif message.epoch != self.epoch:
                result.refused.add(message_id=message.message_id, code="stale-epoch")
            elif self.mailboxes.get(message.mailbox) != message.egress_id:
                result.refused.add(message_id=message.message_id, code="unknown-egress")
            else:
                self.spool[message.message_id] = message
                result.stored.append(message.message_id)
        self.refusals += [(item.message_id, item.code) for item in result.refused]
        if self.answer_dispatch:
            self.put(dispatch_result=result)

    def recall(self, ids: Iterable[str]) -> None:
        """Takes these out of the queue and reports them; the events name the term they came in."""
        for id in ids:
            message = self.spool.pop(id)
            self.event(id, node_pb2.EVENT_KIND_RETURNED, epoch=message.epoch, reason="recalled")
            if id in self.tried:
                self.events[-1].not_before.FromMilliseconds(
                    int((time.time() + self.retry_s) * 1000)
                )
        self._out.put_nowait(self._report(self.events))

    def unsent(self, egress_ids: Iterable[str]) -> list[str]:
        """Ids of what is here and did not go out."""
        wanted = set(egress_ids)
        return [i for i, m in self.spool.items() if m.egress_id in wanted and i not in self.done]

    def _release(self, release: node_pb2.Release) -> None:
        self.granted -= set(release.egress_ids)
        self.given_back |= dict.fromkeys(release.egress_ids, release.epoch)
        if back := self.unsent(release.egress_ids):
            self.recall(back)
        for egress_id in release.egress_ids:
            self.put(
                release_result=node_pb2.ReleaseResult(
                    egress_id=egress_id, epoch=release.epoch, released=True
                )
            )

    def event(self, message_id: str, kind: node_pb2.EventKind, **fields: object) -> None:
        """Something happened to a message; reported until acknowledged."""
        event = node_pb2.MessageEvent(seq=self.next_seq, message_id=message_id, kind=kind, **fields)
        event.at.GetCurrentTime()
        self.next_seq += 1
        self.events.append(event)

    def _hand_over(self) -> None:
        if not self.hand_over or time.monotonic() >= self.trusted_until_s:
            return
        begin = len(self.events)
        for id, message in self.spool.items():
            if id in self.done or message.egress_id not in self.granted:
                continue
            if message.not_before.ToMilliseconds() > (time.time() + self.ahead_s) * 1000:
                continue
            if self.greylisted:
                if id not in self.tried:
                    self.tried.add(id)
                    self.event(id, node_pb2.EVENT_KIND_QUEUED, queue_id="4ABC")
                    self.event(id, node_pb2.EVENT_KIND_DEFERRED, reason="451 4.7.1 later")
            else:
                self.done.add(id)
                self.handed_over[id] += 1
                self.event(id, node_pb2.EVENT_KIND_QUEUED, queue_id="4ABC")
                self.event(id, node_pb2.EVENT_KIND_SENT, reason="250 2.0.0 OK", dsn="2.0.0")
        if len(self.events) > begin:
            self._out.put_nowait(self._report(self.events[begin:]))
