"""What is known of one open session: who speaks, what was sent, how much more it may be sent.

Lives as long as the stream; everything that must outlive it is in the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from postfleet.v1 import node_pb2, spec_pb2

from controller.keys.identity import Identity
from controller.leases.grants import Holder
from controller.leases.timing import LeaseTiming
from controller.sessions.errors import SessionError
from controller.sessions.outbox import Outbox
from controller.store import Row

# What may be on its way to a node without the node's word that it is on disk.
MAX_OUTSTANDING_MESSAGES = 2000
MAX_OUTSTANDING_OCTETS = 16 * 1024 * 1024
# One gRPC message; a larger one only where a single mail is larger.
MAX_DISPATCH_OCTETS = 1024 * 1024
# What a node may hold in its spool for later before it gets no more.
MAX_SPOOLED = 20_000
# More are on the way only to a node that fails again and again; it runs the last, or is sent it.
_SPECS_KEPT = 8


@dataclass
class NodeSession:
    """One stream. Used by the tasks of one event loop only."""

    identity: Identity
    session_id: str
    boot_id: str
    spool_id: str
    running_generation: int
    outbox: Outbox = field(default_factory=Outbox)
    # Messages sent and not answered: id -> octets.
    outstanding: dict[str, int] = field(default_factory=dict)
    outstanding_octets: int = 0
    spooled: int = 0
    # The term of the last grant that was put on its way; 0: none was.
    granted_epoch: int = 0
    # The last heartbeat that was answered with a grant, the durations it was given, and when.
    answered_heartbeat: tuple[int, LeaseTiming, datetime] | None = None
    # Monotonic seconds: no dispatch before, because the node asked for a pause.
    paused_until_s: float = 0
    # Messages that the node refused for what they are: id -> monotonic seconds of the next try.
    refused_until_s: dict[str, float] = field(default_factory=dict)
    pause_s: float = 0
    # What the un-answered specs hold: generation -> (mailbox, egress) pairs.
    sent_specs: dict[int, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    spec_sent_at_s: float = float("-inf")
    spec_sent_generation: int = 0
    suspensions_sent: bytes | None = None
    # Egresses asked back: egress -> (epoch, monotonic seconds of asking).
    releases_asked: dict[str, tuple[int, float]] = field(default_factory=dict)
    # Queue files asked to be deleted: (message, queue id) -> monotonic seconds of asking.
    discards_asked: dict[tuple[str, str], float] = field(default_factory=dict)
    # Messages asked back because they are cancelled: id -> monotonic seconds of asking.
    cancels_asked: dict[str, float] = field(default_factory=dict)
    _ended: asyncio.Future[SessionError] | None = None

    @property
    def node_id(self) -> str:
        return self.identity.id

    @property
    def holder(self) -> Holder:
        return Holder(self.node_id, self.session_id, self.identity.certificate_sha256, self.boot_id)

    @property
    def ended(self) -> asyncio.Future[SessionError]:
        """Done when the session must end; its result says why."""
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
        return self._ended

    def end(self, why: SessionError) -> None:
        """Asks the stream to end; the first reason stands."""
        if not self.ended.done():
            self.ended.set_result(why)

    def room(self, now_s: float) -> tuple[int, int]:
        """How many messages and octets may be sent now."""
        if now_s < self.paused_until_s or self.ended.done():
            return 0, 0
        messages = min(MAX_OUTSTANDING_MESSAGES, MAX_SPOOLED - self.spooled) - len(self.outstanding)
        octets = MAX_OUTSTANDING_OCTETS - self.outstanding_octets
        return (messages, octets) if messages > 0 and octets > 0 else (0, 0)

    def send_mail(self, rows: Iterable[Row]) -> int:
        """Puts messages (rows of dispatch.sql) on their way, each once; gives how many."""
        batch = node_pb2.Dispatch()
        octets = count = 0
        for row in rows:
            if row["id"] in self.outstanding:
                continue
            size = len(row["content"])
            if batch.messages and octets + size > MAX_DISPATCH_OCTETS:
                self.outbox.put_mail(node_pb2.ControllerMessage(dispatch=batch))
                batch, octets = node_pb2.Dispatch(), 0
            batch.messages.append(_dispatched(row))
            octets += size
            count += 1
            self.outstanding[row["id"]] = size
            self.outstanding_octets += size
        if batch.messages:
            self.outbox.put_mail(node_pb2.ControllerMessage(dispatch=batch))
        return count

    def answered(self, message_ids: Iterable[str]) -> None:
        """The node said what became of these."""
        for message_id in message_ids:
            self.outstanding_octets -= self.outstanding.pop(message_id, 0)

    def refused_now(self, now_s: float) -> list[str]:
        """Messages that must not be sent to this node again yet."""
        for message_id in [id for id, until in self.refused_until_s.items() if until <= now_s]:
            del self.refused_until_s[message_id]
        return list(self.refused_until_s)

    def pause(self, now_s: float) -> None:
        """The node has no room: waits 1 s, doubling up to 60 s."""
        self.pause_s = min(max(1.0, self.pause_s * 2), 60.0)
        self.paused_until_s = now_s + self.pause_s

    def forget_specs_before(self, running_generation: int) -> None:
        """Keeps what the node may run or may come to run.

        Also of a spec that it could not apply: an apply that was killed may have swapped already,
        and the node says so later.
        """
        kept = sorted(g for g in self.sent_specs if g >= running_generation)[-_SPECS_KEPT:]
        self.sent_specs = {generation: self.sent_specs[generation] for generation in kept}

    def spec_sent(self, spec: spec_pb2.NodeSpec, now_s: float) -> None:
        """Remembers what is in a spec until the node says whether it runs it."""
        self.sent_specs[spec.generation] = tuple(
            (address, egress.id) for egress in spec.egresses for address in egress.mailboxes
        )
        self.spec_sent_generation = spec.generation
        self.spec_sent_at_s = now_s


def _dispatched(row: Row) -> node_pb2.DispatchedMessage:
    message = node_pb2.DispatchedMessage(
        message_id=row["id"],
        mailbox=row["mailbox"],
        recipient=row["recipient"],
        egress_id=row["egress_id"],
        epoch=row["epoch"],
        content=row["content"],
    )
    message.not_before.FromDatetime(row["not_before"])
    return message
