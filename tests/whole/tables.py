"""The controller of the simulation: tables stand in for PostgreSQL, each method is a transaction.

What decides is the real thing: the observer of leases, placement, the life of a message, the fold
of events. The conditions of the SQL are written out here, as briefly as they can be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from postfleet.v1 import node_pb2

from controller.events.fold import Told, fold
from controller.leases.observer import LeaseRow, TermOver
from controller.message_life import STEPS, Event, State, refunds
from controller.placement import (
    EgressView,
    NodeState,
    NodeView,
    Policy,
    Snapshot,
    place,
)
from tests.whole.bugs import Bug

TTL_MS, MARGIN_MS = 6000, 1500
CAP = 12
# Nothing waits for its time here: all mail is due.
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
ON_NODE = (State.DISPATCHED, State.QUEUED)


@dataclass
class Lease:
    epoch: int = 1
    renewals: int = 0
    held: bool = False
    session: int = 0
    spool_id: str = ""


@dataclass
class Assignment:
    """`epoch` 0: not granted yet."""

    node: str
    epoch: int = 0
    releasing: bool = False


@dataclass
class Message:
    """A row of table message. One mailbox to an egress, so the egress stands for both."""

    id: str
    egress: str
    state: State = State.ACCEPTED
    node: str | None = None
    epoch: int | None = None
    stored: bool = False
    attempts: int = 0
    charged: bool = False
    cancel_asked: bool = False
    # It is the operator's risk from then on.
    was_uncertain: bool = False

    def told(self) -> Told:
        return Told(self.id, self.state, "", self.attempts, "", self.stored, self.epoch, BEGINNING)


@dataclass
class Tables:
    bug: Bug
    leases: dict[str, Lease]
    assignments: dict[str, Assignment] = field(default_factory=dict)
    given_back: dict[tuple[str, str], int] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    events: set[tuple[str, int]] = field(default_factory=set)
    cordoned: set[str] = field(default_factory=set)
    # Egresses that are suspended.
    stopped: set[str] = field(default_factory=set)

    # Sessions and leases.

    def admit(self, node: str, session: int, spool_id: str) -> list[Message]:
        """A session begins; gives what is to be sent again, as resend_unacknowledged does."""
        lease = self.leases[node]
        lease.session = session
        if lease.spool_id not in ("", spool_id):
            for message in self._on(node):
                forgiven = self.bug is Bug.LOST_DISK_FORGIVEN
                message.state = State.SCHEDULED if forgiven else State.UNCERTAIN
        lease.spool_id = spool_id
        return [m for m in self._on(node) if m.state is State.DISPATCHED and not m.stored]

    def renew(self, node: str, session: int) -> tuple[int, frozenset[str]] | None:
        lease = self.leases[node]
        if lease.session != session:
            return None
        lease.renewals += 1
        lease.held = True
        mine = frozenset(e for e, a in self.assignments.items() if a.node == node)
        for egress in mine:
            self.assignments[egress].epoch = lease.epoch
        return lease.epoch, mine

    def lease_rows(self) -> list[LeaseRow]:
        margin_ms = 0 if self.bug is Bug.MARGIN_REMOVED else MARGIN_MS
        return [
            LeaseRow(node, lease.epoch, lease.renewals, lease.held, TTL_MS, margin_ms)
            for node, lease in self.leases.items()
        ]

    def end_term(self, term: TermOver) -> None:
        lease = self.leases[term.node_id]
        same = (lease.epoch, lease.renewals) == (term.epoch, term.renewals)
        if not lease.held or not (same or self.bug is Bug.RENEWALS_UNCHECKED):
            return
        lease.epoch += 1
        lease.held = False
        for egress in [e for e, a in self.assignments.items() if a.node == term.node_id]:
            del self.assignments[egress]
        if self.bug is Bug.FREED_MAIL_SENT_AGAIN:
            for message in self._on(term.node_id):
                message.state, message.epoch = State.SCHEDULED, None

    # Placement.

    def reconcile(self, rebalance: bool) -> None:
        for egress, a in list(self.assignments.items()):
            if a.releasing and self._idle(a):
                del self.assignments[egress]
        nodes = tuple(
            NodeView(name, 100, self._node_state(name), f"fd-{name}") for name in self.leases
        )
        egresses = tuple(
            EgressView(egress, "c", 8, self._placed_at(egress)) for egress in sorted(self.used)
        )
        for move in place(Snapshot(nodes, egresses), Policy(rebalance=rebalance)).moves:
            held = self.assignments.get(move.egress_id)
            if held is not None and held.node == move.from_node:
                if self._idle(held):
                    del self.assignments[move.egress_id]
                else:
                    held.releasing = True
            if move.to_node is not None and move.egress_id not in self.assignments:
                self._assign(move.egress_id, move.to_node)

    def _assign(self, egress: str, node: str) -> None:
        self.assignments[egress] = Assignment(node)
        lease = self.leases[node]
        if self.given_back.get((node, egress)) == lease.epoch:
            lease.epoch += 1

    def _idle(self, a: Assignment) -> bool:
        return a.epoch == 0 or not self.leases[a.node].held

    def _placed_at(self, egress: str) -> str | None:
        a = self.assignments.get(egress)
        return None if a is None or a.releasing else a.node

    def _node_state(self, name: str) -> NodeState:
        lease = self.leases[name]
        if not lease.held and (lease.epoch, lease.renewals) != (1, 0):
            return NodeState.LEAVING
        return NodeState.LEAVING if name in self.cordoned else NodeState.ACTIVE

    def asked_back(self, node: str) -> list[tuple[str, int]]:
        """What to ask a node for, with the term, as the pusher's `watch` does."""
        epoch = self.leases[node].epoch
        return [
            (egress, epoch)
            for egress, a in self.assignments.items()
            if a.node == node and a.releasing and a.epoch == epoch
        ]

    def release(self, node: str, egress: str, epoch: int) -> None:
        a = self.assignments.get(egress)
        if a is None or a.node != node:
            return
        if (a.releasing and a.epoch == epoch) or self.bug is Bug.EPOCH_UNCHECKED:
            del self.assignments[egress]
            self.given_back[node, egress] = epoch

    # Messages.

    def plan(self, message: Message) -> None:
        step = STEPS[Event.PLANNED]
        full = self.used[message.egress] >= CAP and self.bug is not Bug.CAP_UNCHECKED
        if message.state in step.sources and not full:
            self.used[message.egress] += 1
            message.charged, message.state = True, step.target

    def end_by_operator(self, message: Message, event: Event, *, open_only: bool = False) -> None:
        """UNPLANNED, SUPPRESSED or CANCELLED; with `open_only` not what is uncertain."""
        step = STEPS[event]
        if message.state not in step.sources:
            return
        if open_only and message.state is State.UNCERTAIN:
            return
        if refunds(message.state, event, message.attempts) or self.bug is Bug.ATTEMPT_REFUNDED:
            self._refund(message)
        message.was_uncertain |= message.state is State.UNCERTAIN
        message.state = step.target

    def ask_to_cancel(self, message: Message) -> None:
        """An operator wants a message cancelled that a node has: the node is asked."""
        message.cancel_asked = message.state in ON_NODE
        if self.bug is Bug.CANCELLED_ON_ASKING and message.cancel_asked:
            message.state = State.CANCELLED

    def cancels(self, node: str) -> list[str]:
        """What to ask a node to give back because it is cancelled."""
        return [m.id for m in self._on(node) if m.cancel_asked]

    def end_cancelled(self) -> None:
        """What came back and is to be cancelled ends, as the sweeper does it."""
        for message in self.messages.values():
            if message.cancel_asked:
                self.end_by_operator(message, Event.CANCELLED, open_only=True)

    def claim(self, node: str, session: int) -> Message | None:
        """The next message to dispatch to a node."""
        lease = self.leases[node]
        if lease.session != session or not lease.held:
            return None
        for message in self.messages.values():
            a = self.assignments.get(message.egress)
            if a is None or (a.node, a.epoch) != (node, lease.epoch) or a.releasing:
                continue
            if message.egress in self.stopped or message.cancel_asked:
                continue
            if message.state in STEPS[Event.DISPATCHED].sources:
                message.state = STEPS[Event.DISPATCHED].target
                message.node, message.epoch, message.stored = node, lease.epoch, False
                return message
        return None

    def answered(self, node: str, session: int, message_id: str, stored: bool) -> None:
        """The node's word on a dispatched message. An earlier session's is of no account: the
        message may have been dispatched again since."""
        message = self.messages[message_id]
        if self.leases[node].session != session or message.node != node:
            return
        if stored:
            message.stored = True
        elif message.state in STEPS[Event.UNDISPATCHED].sources and not message.stored:
            message.state, message.epoch = STEPS[Event.UNDISPATCHED].target, None

    def report(self, node: str, spool_id: str, events: Iterable[node_pb2.MessageEvent]) -> None:
        for event in events:
            known = (spool_id, event.seq) in self.events
            self.events.add((spool_id, event.seq))
            message = self.messages[event.message_id]
            if (known and self.bug is not Bug.EVENTS_REPEATED) or message.node != node:
                continue
            outcome = fold(message.told(), [event])
            if outcome.refund or (self.bug is Bug.ATTEMPT_REFUNDED and outcome.message.final):
                self._refund(message)
            new = outcome.message
            message.state, message.stored, message.attempts = new.state, new.stored, new.attempts
            if message.state is State.SCHEDULED:
                message.epoch = None

    def _refund(self, message: Message) -> None:
        if message.charged or self.bug is Bug.REFUND_DOUBLED:
            self.used[message.egress] = max(0, self.used[message.egress] - 1)
        message.charged = False

    def _on(self, node: str) -> list[Message]:
        return [m for m in self.messages.values() if m.node == node and m.state in ON_NODE]


def new_tables(bug: Bug, nodes: Iterable[str], egresses: Iterable[str]) -> Tables:
    return Tables(bug, {name: Lease() for name in nodes}, used=dict.fromkeys(egresses, 0))
