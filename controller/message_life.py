"""A message's life as one table: which event may move it from which states to which one. Pure.

Every part of the controller that changes `message.state` takes the states from here, and makes
the change only where the row still has one of them:

    step = life.STEPS[Event.SENT]
    UPDATE message SET state = step.target WHERE id = … AND state = ANY(step.sources)

An event that finds no such state changes nothing: it is late, or was reported before. It is still
kept as an event, and so stays evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where a message is. Exactly one at any time; as the CHECK of table message says."""

    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    DISPATCHED = "dispatched"
    QUEUED = "queued"
    SENT = "sent"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    UNCERTAIN = "uncertain"


class Event(StrEnum):
    """What can happen to a message. Those that nodes report are called as in EventKind."""

    # The planner chose mailbox and egress and charged the ledger.
    PLANNED = "planned"
    # The planner's choice is taken back before any node had the message (its mailbox moved).
    UNPLANNED = "unplanned"
    # It is on its way to a node.
    DISPATCHED = "dispatched"
    # The node would not take it, or certainly never had it on its disk.
    UNDISPATCHED = "undispatched"
    # Reported by the node, from its own hand-over and from Postfix's log.
    QUEUED = "queued"
    DEFERRED = "deferred"
    SENT = "sent"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    UNCERTAIN = "uncertain"
    REFUSED = "refused"
    RETURNED = "returned"
    # The recipient is suppressed; an operator's act.
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    # The campaign's answer to `uncertain` is to send once more.
    RESENT = "resent"


FINAL = frozenset({State.SENT, State.BOUNCED, State.EXPIRED, State.SUPPRESSED, State.CANCELLED})
"""Never left. `uncertain` is not among them: evidence may still come, or an operator decides."""


@dataclass(frozen=True, slots=True)
class Step:
    """Where an event leads (`target`) from where (`sources`, sorted)."""

    sources: tuple[State, ...]
    target: State


def _step(target: State, *sources: State) -> Step:
    return Step(tuple(sorted(sources)), target)


_PLANNING = (State.ACCEPTED, State.SCHEDULED)
_ON_NODE = (State.DISPATCHED, State.QUEUED)
# What a log says happened did happen, whatever we believed: a node that was given up may still
# have sent, and its report must end the message before anybody sends it again.
_OPEN = (*_PLANNING, *_ON_NODE, State.UNCERTAIN)

STEPS: Mapping[Event, Step] = MappingProxyType({
    Event.PLANNED: _step(State.SCHEDULED, State.ACCEPTED),
    Event.UNPLANNED: _step(State.ACCEPTED, State.SCHEDULED),
    Event.DISPATCHED: _step(State.DISPATCHED, State.SCHEDULED),
    Event.UNDISPATCHED: _step(State.SCHEDULED, State.DISPATCHED),
    Event.QUEUED: _step(State.QUEUED, *_PLANNING, State.DISPATCHED),
    Event.DEFERRED: _step(State.QUEUED, *_PLANNING, *_ON_NODE),
    Event.SENT: _step(State.SENT, *_OPEN),
    Event.BOUNCED: _step(State.BOUNCED, *_OPEN),
    Event.EXPIRED: _step(State.EXPIRED, *_OPEN),
    Event.UNCERTAIN: _step(State.UNCERTAIN, *_PLANNING, *_ON_NODE),
    # Postfix's own 5xx at the hand-over: it ends like a receiver's, with those words.
    Event.REFUSED: _step(State.BOUNCED, *_PLANNING, *_ON_NODE),
    Event.RETURNED: _step(State.SCHEDULED, *_ON_NODE),
    Event.SUPPRESSED: _step(State.SUPPRESSED, *_PLANNING),
    Event.CANCELLED: _step(State.CANCELLED, *_PLANNING, State.UNCERTAIN),
    Event.RESENT: _step(State.ACCEPTED, State.UNCERTAIN),
})  # fmt: skip

_REFUNDS = frozenset({Event.UNPLANNED, Event.SUPPRESSED, Event.CANCELLED, Event.REFUSED})


def refunds(state: State, event: Event, attempts: int) -> bool:
    """Whether a message in `state` gives its allowance back to the ledger when this happens to it.

    Only one that certainly reached no receiver: none was asked to take it (`attempts`), and it is
    not uncertain, which may be one of the receiver's without our knowing.
    """
    return event in _REFUNDS and attempts == 0 and state is not State.UNCERTAIN


def after(state: State, event: Event) -> State:
    """The state after the event; the same one where the event does not apply (any more)."""
    step = STEPS[event]
    return step.target if state in step.sources else state
