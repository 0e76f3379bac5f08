"""A message's states on the node, and what each fact does to them. Pure.

    stored ──marked──► handing ──250 / seen in queue or log──► queued ──log──► sent bounced expired
      │  ▲                │  │                                │  ▲ │ └► uncertain ─log─► the same
      │  └─not there──────┘  └─5xx─► refused      held, idle ─┘  │ └─ deferred: stays queued
      └─taken back─► returned ◄─gone from the queue─ recalling ──┘ tried again after all

`handing` is written to disk before the first octet goes to Postfix, and `recalling` before the
queue file is deleted, so from then on only evidence (Postfix's reply, its queue, its log) moves the
message. A fact that says nothing new changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from postfleet.v1 import node_pb2


class State(StrEnum):
    """Where a message is. The last five are final."""

    STORED = "stored"
    HANDING = "handing"
    QUEUED = "queued"
    RECALLING = "recalling"
    UNCERTAIN = "uncertain"
    SENT = "sent"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    REFUSED = "refused"
    RETURNED = "returned"


FINAL = frozenset({State.SENT, State.BOUNCED, State.EXPIRED, State.REFUSED, State.RETURNED})
# Postfix does not have it, or it is not known whether it has.
CONTENT_NEEDED = frozenset({State.STORED, State.HANDING})


class FactKind(StrEnum):
    """What was learned about a message, and from whom."""

    # Postfix's replies at the hand-over
    ACCEPTED = "accepted"
    TURNED_DOWN = "turned-down"
    # certain not to be in Postfix: a 4xx, not sent, or evidence that it is not there
    PUT_BACK = "put-back"
    # its token stands in Postfix's queue or log
    SEEN = "seen"
    # Postfix's log
    DEFERRED = "deferred"
    SENT = "sent"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    UNCERTAIN = "uncertain"
    # the log: postsuper(1) deleted its queue file
    DELETED = "deleted"
    # Cancel, Release, or a term that ended
    TAKEN_BACK = "taken-back"
    # an operator decided about it, and its queue file is deleted
    DISCARDED = "discarded"
    # its queue file is on hold and no delivery is under way: it is to be deleted
    RECALL = "recall"
    # its queue file is gone; or: is neither gone nor on hold
    RECALLED = "recalled"
    RECALL_FAILED = "recall-failed"


_ATTEMPTS = frozenset({FactKind.DEFERRED, FactKind.SENT, FactKind.BOUNCED, FactKind.UNCERTAIN})
# What main.cf has retry(8) say where this node has no egress for the sender.
_OWN_WORDS = "postfleet: "


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing learned, with its evidence. Fields are those of MessageEvent (node.proto)."""

    kind: FactKind
    at_ms: int
    queue_id: str = ""
    dsn: str = ""
    relay: str = ""
    reason: str = ""
    gateway_stage: str = ""
    log_line: str = ""
    # Of a RECALL: when it may be tried again; 0: at once.
    not_before_ms: int = 0

    @property
    def asked_receiver(self) -> bool:
        """Whether this is an attempt that was not stopped on this node already."""
        own = self.gateway_stage or self.reason.startswith(_OWN_WORDS)
        return self.kind in _ATTEMPTS and not own


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact of the log, and whose it is.

    By message id where the line names it, else by queue id; with an egress id instead, it is every
    message's that the egress's transport may be delivering.
    """

    message_id: str | None
    queue_id: str
    fact: Fact
    egress_id: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do: the state to write, the event to report (None: nothing new), and more."""

    state: State
    event: node_pb2.EventKind.ValueType | None = None
    # Put the queue file on hold, before Postfix tries again.
    hold: bool = False
    # Two queue files, or an outcome after a final one: invariant 3 is hurt; count it and say so.
    doubled: bool = False


_LOG_OUTCOMES = {
    FactKind.SENT: (State.SENT, node_pb2.EVENT_KIND_SENT),
    FactKind.BOUNCED: (State.BOUNCED, node_pb2.EVENT_KIND_BOUNCED),
    FactKind.EXPIRED: (State.EXPIRED, node_pb2.EVENT_KIND_EXPIRED),
}


def step(state: State, queue_id: str, fact: Fact) -> Step:
    """What `fact` does to a message in `state` with `queue_id` ('' while unknown)."""
    if fact.kind in (FactKind.ACCEPTED, FactKind.SEEN):
        return _in_postfix(state, queue_id, fact)
    if fact.kind is FactKind.TURNED_DOWN:
        if state is State.HANDING:
            return Step(State.REFUSED, node_pb2.EVENT_KIND_REFUSED)
        return Step(state)
    if fact.kind is FactKind.PUT_BACK:
        return Step(State.STORED if state is State.HANDING else state)
    if fact.kind is FactKind.TAKEN_BACK:
        if state is State.STORED:
            return Step(State.RETURNED, node_pb2.EVENT_KIND_RETURNED)
        return Step(state)
    if fact.kind in (FactKind.RECALL, FactKind.RECALLED, FactKind.RECALL_FAILED):
        return _recalled(state, fact)
    if fact.kind is FactKind.DELETED and state is State.RECALLING:
        # As asked. Whether that is on disk, postfleet-apply says.
        return Step(state)
    if fact.kind is FactKind.UNCERTAIN and state is State.RECALLING and not fact.log_line:
        # Somebody missed its file. That it is gone, or not, is for the recall to see.
        return Step(state)
    if fact.kind is FactKind.DISCARDED:
        # Told by DiscardResult. What is returned is taken when it is dispatched again.
        return Step(State.RETURNED if state is State.UNCERTAIN else state)
    return _attempted(state, queue_id, fact)


def _recalled(state: State, fact: Fact) -> Step:
    """One of the steps of a recall; see recall.py."""
    if fact.kind is FactKind.RECALL:
        return Step(State.RECALLING if state is State.QUEUED else state)
    if state is not State.RECALLING:
        return Step(state)
    if fact.kind is FactKind.RECALLED:
        return Step(State.RETURNED, node_pb2.EVENT_KIND_RETURNED)
    return Step(State.QUEUED)


def _in_postfix(state: State, queue_id: str, fact: Fact) -> Step:
    """Postfix has the message under fact.queue_id."""
    if state in CONTENT_NEEDED:
        return Step(State.QUEUED, node_pb2.EVENT_KIND_QUEUED)
    if state is State.RECALLING and fact.log_line:
        # Somebody took it off hold, and Postfix delivers it.
        return Step(State.QUEUED)
    if queue_id == fact.queue_id:
        return Step(state)
    # postsuper -r gives an open message a new queue id; after a final state it is a second copy,
    # which must not go out.
    second = state in FINAL
    return Step(state, hold=second, doubled=second)


def _attempted(state: State, queue_id: str, fact: Fact) -> Step:
    """The log says how an attempt of Postfix ended."""
    if state in FINAL:
        # What was returned may have been sent by another node by now.
        other_copy = state is State.RETURNED or fact.queue_id != queue_id
        return Step(state, doubled=fact.kind is FactKind.SENT and other_copy)
    if fact.kind in _LOG_OUTCOMES:
        final, event = _LOG_OUTCOMES[fact.kind]
        return Step(final, event)
    if fact.kind in (FactKind.UNCERTAIN, FactKind.DELETED):
        if state is State.UNCERTAIN:
            return Step(state, hold=True)
        return Step(State.UNCERTAIN, node_pb2.EVENT_KIND_UNCERTAIN, hold=True)
    if state is State.UNCERTAIN:
        # Postfix tried again before the hold: what was uncertain stays so. Hold it now.
        return Step(state, hold=True)
    return Step(State.QUEUED, node_pb2.EVENT_KIND_DEFERRED)
