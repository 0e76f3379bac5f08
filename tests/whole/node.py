"""A node of the simulation: agent, gateway and Postfix, each as its own memory, one disk.

The agent's spool is the real one (SQLite), its right, lease arithmetic, evidence and suspensions
are the real code, and so are the gateway's lease and admission. Each method is a step that a crash,
a frozen process or the clock may come before or after.
"""

from __future__ import annotations

from dataclasses import replace

from postfleet.v1 import node_pb2

from node_agent.agent import lease as agent_lease
from node_agent.agent import suspensions
from node_agent.agent.lifecycle import Fact, FactKind
from node_agent.agent.lifecycle import State as Kept
from node_agent.agent.spool import messages, meta, outbox
from node_agent.agent.spool.messages import SpooledMessage
from node_agent.gateway import lease as gateway_lease
from node_agent.gateway.errors import LeaseError
from tests.whole.bugs import Bug
from tests.whole.machine import Machine, stop_of
from tests.whole.postfix import QueueFile


class Node(Machine):
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

    def suspend(self, stops: list[node_pb2.Suspension]) -> None:
        """The controller's list: on disk before it holds."""
        meta.write(self.db, "stops", [stop.subject for stop in stops])
        self.right.suspensions = suspensions.read(stops)

    def _kept_stops(self) -> list[node_pb2.Suspension]:
        return [stop_of(egress) for egress in meta.read(self.db, "stops", [])]

    def stops(self) -> frozenset[str]:
        """Egresses that are suspended, as the agent knows it."""
        return frozenset(self.right.suspensions.egress_reasons(0))

    def tell_gateway(self, now: int) -> None:
        """The agent tells its gateway what is suspended, then what it may open; what is not covered
        any more is cut."""
        reasons = self.right.closed_egresses(now)
        self.gateway = replace(self.gateway, suspensions=reasons)
        self.told_stops = frozenset(reasons)
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
        if self.bug is Bug.SUSPENSION_FORGOTTEN:
            self.gateway = replace(self.gateway, suspensions={})
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

    def cancel(self, token: str) -> None:
        """Back with it where Postfix does not have it; what Postfix has is recalled."""
        self.cancelled.add(token)
        if any(m.id == token for m in self.waiting()):
            self.learn([(token, Fact(FactKind.TAKEN_BACK, 0, reason="cancelled"))])

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
        self.postfix.begin_delivery(queue_id)
        return True

    def to_cut(self, now: int) -> list[str]:
        """Queue ids whose connections the gateway (or the kernel, in its place) ends now."""
        held = self.gateway.lease
        over = self.clock_ns(now) >= held.kill_at_ns
        return [
            queue_id
            for queue_id, egress in self.postfix.delivering.items()
            if over or egress not in held.egress_ids
        ]
