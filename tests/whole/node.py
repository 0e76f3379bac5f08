"""A node of the simulation: agent, gateway and Postfix, each as its own memory, one disk.

The agent's spool is the real one (SQLite), its right, lease arithmetic and evidence are the real
code, and so are the gateway's lease and admission. Postfix is a model: a queue, a log, deliveries.
Each method is a step that a crash, a frozen process or the clock may come before or after.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field, replace

from postfleet.v1 import node_pb2, spec_pb2

from node_agent.agent import lease as agent_lease
from node_agent.agent.handover.evidence import absent, in_queue
from node_agent.agent.lifecycle import Entry, Fact, FactKind
from node_agent.agent.lifecycle import State as Kept
from node_agent.agent.right import Right
from node_agent.agent.spool import database, messages, meta, outbox
from node_agent.agent.spool.messages import SpooledMessage
from node_agent.gateway import lease as gateway_lease
from node_agent.gateway.admission import Rules
from node_agent.gateway.errors import LeaseError
from tests.whole.bugs import Bug

NS_PER_MS = 1_000_000


@dataclass
class QueueFile:
    token: str
    egress: str
    held: bool = False
    # How long the log was when an attempt ended without anybody knowing how; 0: none did.
    uncertain_at: int = 0


@dataclass
class Postfix:
    """Queue id to file, the log, and queue id to egress of what is being delivered."""

    queue: dict[str, QueueFile] = field(default_factory=dict)
    log: list[Entry] = field(default_factory=list)
    delivering: dict[str, str] = field(default_factory=dict)

    def says(
        self, kind: FactKind, queue_id: str, token: str | None = None, stage: str = ""
    ) -> None:
        fact = Fact(kind, 0, queue_id=queue_id, gateway_stage=stage, log_line=str(kind))
        self.log.append(Entry(token, queue_id, fact))


def spec_of(egresses: list[str]) -> spec_pb2.NodeSpec:
    """All nodes run the same: what they may use, the lease says."""
    spec = spec_pb2.NodeSpec(generation=1)
    for egress in egresses:
        spec.egresses.add(id=egress, client_id="c", mailboxes=[mailbox_of(egress)])
    return spec


def mailbox_of(egress: str) -> str:
    return f"m@{egress}.test"


class Node:
    def __init__(self, name: str, speed: float, egresses: list[str], bug: Bug) -> None:
        self.name, self.speed, self.bug = name, speed, bug
        self._spec = spec_of(egresses)
        self._numbers = 0
        self.lose_disk()

    # The machine.

    def lose_disk(self) -> None:
        """Another disk, another boot: nothing is left but the name."""
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        database._set_up(self.db)
        self.spool_id = str(meta.read(self.db, "spool_id"))
        self.postfix = Postfix()
        self.gateway = Rules()
        self.restart_agent()

    def restart_agent(self) -> None:
        """The agent's memory is gone. What was under way is decided by the evidence."""
        self.right = Right(gateway_knows=False)
        self.right.use_spec(self._spec)
        self.right.highest_epoch = int(meta.read(self.db, "highest_epoch", 0))
        self.right.released = meta.read(self.db, "released", {})
        # Message id to whether Postfix has answered with a queue id already.
        self.offering: dict[str, str] = {}
        self.releasing: dict[str, int] = {}
        self.holds = {q for _, q in messages.not_held(self.db) if q}
        self.sent_at_ns: dict[int, int] = {}
        self.reported = int(meta.read(self.db, "acked_seq"))
        if self.bug is not Bug.LOG_NOT_READ:
            # A look at the queue, and then the log to its end: see evidence.py.
            handing = [m.id for m in messages.in_states(self.db, [Kept.HANDING])]
            self.learn(in_queue(handing, {q: f.token for q, f in self.postfix.queue.items()}, 0))
            self.follow(len(self.postfix.log))
        self.learn(absent(messages.in_states(self.db, [Kept.HANDING]), 0, 0, 0))

    def clock_ns(self, now_ms: int) -> int:
        return int(now_ms * self.speed * NS_PER_MS)

    # The spool.

    def learn(self, facts: list[tuple[str, Fact]]) -> None:
        for token, fact in facts:
            step = messages.learn(self.db, token, fact, 0)
            if step is not None and step.hold and fact.queue_id:
                self.holds.add(fact.queue_id)

    def log_read(self) -> int:
        return int(meta.read(self.db, "log_position", 0))

    def follow(self, most: int) -> None:
        """The log follower reads on: facts and position in one transaction."""
        begin = self.log_read()
        for entry in self.postfix.log[begin : begin + most]:
            token = entry.message_id or messages.id_of_queue_file(self.db, entry.queue_id)
            if token:
                self.learn([(token, entry.fact)])
        meta.write(self.db, "log_position", min(begin + most, len(self.postfix.log)))

    def hold(self) -> None:
        """postfleet-apply holds what is to be held."""
        held = {q for q in self.holds if q not in self.postfix.delivering}
        for queue_id in held & self.postfix.queue.keys():
            self.postfix.queue[queue_id].held = self.bug is not Bug.HOLD_FORGOTTEN
        messages.mark_held(self.db, [self.token_of(q) for q in held], held=True)
        self.holds -= held

    def token_of(self, queue_id: str) -> str:
        return messages.id_of_queue_file(self.db, queue_id) or ""

    def rows(self, *states: Kept) -> list[SpooledMessage]:
        return messages.in_states(self.db, states)

    def waiting(self) -> list[SpooledMessage]:
        """What may be handed over: stored, and not on its way already."""
        return [m for m in self.rows(Kept.STORED) if m.id not in self.offering]

    # Session.

    def granted(
        self, seq: int, epoch: int, ttl_ms: int, margin_ms: int, egresses: frozenset[str],
        told_ms: int, now: int,
    ) -> None:  # fmt: skip
        sent_at_ns = self.sent_at_ns.get(seq)
        if sent_at_ns is None:
            return
        self.sent_at_ns = {s: t for s, t in self.sent_at_ns.items() if s >= seq}
        grant = agent_lease.granted(
            sent_at_ns, epoch, ttl_ms, margin_ms, egresses, told_ms, self.clock_ns(now)
        )
        if epoch > self.right.highest_epoch:
            meta.write(self.db, "highest_epoch", epoch)
        if self.right.use_lease(grant):
            self.right.gateway_knows = False

    def tell_gateway(self, now: int) -> None:
        """The agent tells its gateway what it may open; what is not covered any more is cut."""
        held = self.right.lease
        if held is None:
            return
        named = [e for e in held.egress_ids if not self.right.is_released(e, held.epoch)]
        times = (held.trusted_until_ns, held.expires_at_ns)
        now_ns = self.clock_ns(now)
        try:
            new = gateway_lease.grant(self.gateway.lease, held.epoch, *times, named, now_ns)
        except LeaseError:
            return
        self.gateway = replace(self.gateway, lease=new)
        self.right.gateway_knows = True

    def take(self, message: node_pb2.DispatchedMessage) -> bool:
        """Stores a dispatched message; False: refused."""
        if messages.is_known(self.db, message.message_id, message.epoch):
            return True
        if self.right.why_refused(message.mailbox, message.egress_id, message.epoch):
            return False
        row = SpooledMessage(
            message.message_id, message.mailbox, "r@x.test", message.egress_id, message.epoch,
            0, 1, Kept.STORED,
        )  # fmt: skip
        if self.bug is not Bug.STORED_BEFORE:
            messages.store(self.db, [(row, b"x")], 0)
        return True

    def asked_back(self, egress: str, epoch: int) -> bool:
        """A Release: shuts the door; False: of a term that is over."""
        if epoch < self.right.highest_epoch:
            return False
        self.right.release([egress], epoch)
        meta.write(self.db, "released", self.right.released)
        self.gateway = replace(
            self.gateway, lease=gateway_lease.close(self.gateway.lease, [egress])
        )
        self.releasing[egress] = epoch
        return True

    def give_back(self, egress: str) -> int | None:
        """The rest of the order, where it can be done now; gives the term it was asked for."""
        under_way = {m.egress_id for m in self.rows(Kept.HANDING) if m.id in self.offering}
        if egress in under_way or egress in self.postfix.delivering.values():
            return None
        self.follow(len(self.postfix.log))
        epoch = self.releasing.pop(egress)
        fact = Fact(FactKind.TAKEN_BACK, 0, reason="given back")
        mine = [m for m in self.waiting() if m.egress_id == egress and m.epoch <= epoch]
        self.learn([(m.id, fact) for m in mine])
        return epoch

    def stale(self) -> list[SpooledMessage]:
        """What waits for a term that is over, or an egress that was given back."""
        over = self.right.highest_epoch
        return [
            m for m in self.waiting()
            if m.epoch < over or self.right.is_released(m.egress_id, m.epoch)
        ]  # fmt: skip

    def sweep(self) -> None:
        """Gives that back."""
        fact = Fact(FactKind.TAKEN_BACK, 0, reason="the term is over")
        self.learn([(m.id, fact) for m in self.stale()])

    def to_report(self, most: int) -> list[node_pb2.MessageEvent]:
        events = outbox.after(self.db, self.reported, most, 10**6)
        if events:
            self.reported = events[-1].seq
        return events

    # Hand-over to Postfix, in three steps.

    def mark(self, message: SpooledMessage, now: int) -> None:
        """Writes down that Postfix may have it from now on."""
        clock = (self.clock_ns(now), now)
        if self.right.why_not(message.mailbox, message.egress_id, message.epoch, *clock):
            return
        if self.bug is Bug.RECORDED_BEFORE:
            queue_id = self._next_queue_id()
            messages.mark_handing(self.db, [message.id], 0)
            self.learn([(message.id, Fact(FactKind.ACCEPTED, 0, queue_id=queue_id))])
            self._numbers -= 1
        elif self.bug is not Bug.NOT_MARKED:
            messages.mark_handing(self.db, [message.id], 0)
        self.offering[message.id] = ""

    def offer(self, token: str, egress: str) -> None:
        """Postfix accepts it; its answer is on the way."""
        queue_id = self._next_queue_id()
        self.postfix.queue[queue_id] = QueueFile(token, egress)
        self.offering[token] = queue_id

    def hear(self, token: str, kind: FactKind) -> None:
        """Postfix's answer is written down: accepted, or turned down (before it was offered)."""
        queue_id = self.offering.pop(token)
        if self.bug is Bug.NOT_MARKED:
            messages.mark_handing(self.db, [token], 0)
        self.learn([(token, Fact(kind, 0, queue_id=queue_id))])

    def _next_queue_id(self) -> str:
        self._numbers += 1
        return f"{self.name}Q{self._numbers}"

    # Deliveries.

    def may_try(self, queue_id: str) -> bool:
        """Postfix tries again what is not on hold. What is uncertain it tries again as soon as the
        agent had its chance to hold it."""
        file = self.postfix.queue[queue_id]
        if file.held or queue_id in self.postfix.delivering:
            return False
        heard = self.log_read() >= file.uncertain_at and queue_id not in self.holds
        return not file.uncertain_at or (heard and self.token_of(queue_id) != "")

    def try_delivery(self, queue_id: str, now: int) -> bool:
        """qmgr(8) takes a file up and smtp(8) connects; False: the gateway refused."""
        file = self.postfix.queue[queue_id]
        self.postfix.says(FactKind.SEEN, queue_id, file.token)
        refusal = self.gateway.may_open(file.egress, self.clock_ns(now))
        if refusal is not None:
            self.postfix.says(FactKind.DEFERRED, queue_id, stage=str(refusal.stage))
            return False
        self.postfix.delivering[queue_id] = file.egress
        return True

    def end_delivery(self, queue_id: str, kind: FactKind) -> None:
        """An attempt ended so, and the log says it."""
        del self.postfix.delivering[queue_id]
        self.postfix.says(kind, queue_id)
        if kind in (FactKind.SENT, FactKind.BOUNCED):
            del self.postfix.queue[queue_id]
        elif kind is FactKind.UNCERTAIN:
            self.postfix.queue[queue_id].uncertain_at = len(self.postfix.log)

    def to_cut(self, now: int) -> list[str]:
        """Queue ids whose connections the gateway (or the kernel, in its place) ends now."""
        held = self.gateway.lease
        over = self.clock_ns(now) >= held.kill_at_ns
        return [
            queue_id
            for queue_id, egress in self.postfix.delivering.items()
            if over or egress not in held.egress_ids
        ]
