"""What reported events make of a message. Pure; the states are those of controller.message_life.

An event whose step does not fit the present state changes nothing but stays stored as evidence: it
is late (the message ended before), or repeats what is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from postfleet.v1 import node_pb2

from controller.message_life import FINAL, STEPS, Event, State, refunds

KINDS = {
    node_pb2.EVENT_KIND_QUEUED: Event.QUEUED,
    node_pb2.EVENT_KIND_DEFERRED: Event.DEFERRED,
    node_pb2.EVENT_KIND_SENT: Event.SENT,
    node_pb2.EVENT_KIND_BOUNCED: Event.BOUNCED,
    node_pb2.EVENT_KIND_EXPIRED: Event.EXPIRED,
    node_pb2.EVENT_KIND_UNCERTAIN: Event.UNCERTAIN,
    node_pb2.EVENT_KIND_REFUSED: Event.REFUSED,
    node_pb2.EVENT_KIND_RETURNED: Event.RETURNED,
}
_ATTEMPTS = frozenset({Event.DEFERRED, Event.SENT, Event.BOUNCED, Event.UNCERTAIN})


@dataclass(frozen=True)
class Told:
    """The part of a message's row that events change."""

    id: str
    state: State
    queue_id: str
    attempts: int
    reason: str
    stored: bool
    # The term it was dispatched for last; None: it is on no node.
    epoch: int | None
    not_before: datetime

    @property
    def final(self) -> bool:
        return self.state in FINAL


@dataclass(frozen=True)
class Outcome:
    """The message afterwards; `refund`: it was never attempted and gives its allowance back."""

    message: Told
    changed: bool
    refund: bool


def fold(message: Told, events: Iterable[node_pb2.MessageEvent]) -> Outcome:
    """Applies events in their order."""
    before, refund = message, False
    for event in events:
        kind = KINDS.get(event.kind)
        if kind is None or message.state not in STEPS[kind].sources:
            continue
        if kind is Event.RETURNED and event.epoch and event.epoch != message.epoch:
            # Returned from an earlier term, dispatched again since: it is not back this time.
            continue
        # An attempt that our own gateway stopped reached no receiver (DESIGN: our 421 is never
        # counted as the receiver's answer).
        reached = kind in _ATTEMPTS and not event.gateway_stage
        refund = refund or refunds(message.state, kind, message.attempts)
        returned = kind is Event.RETURNED
        message = replace(
            message,
            state=STEPS[kind].target,
            queue_id="" if returned else (event.queue_id or message.queue_id),
            attempts=message.attempts + reached,
            reason=event.reason or ("" if kind is Event.QUEUED else message.reason),
            # Any word of the node about it proves that it was on its disk.
            stored=not returned,
            epoch=None if returned else message.epoch,
            not_before=_not_before(message, event) if returned else message.not_before,
        )
    return Outcome(message, message != before, refund)


def _not_before(message: Told, event: node_pb2.MessageEvent) -> datetime:
    """Whoever gets a returned message next leaves the receiver the time that Postfix would have."""
    if not event.HasField("not_before"):
        return message.not_before
    return max(message.not_before, event.not_before.ToDatetime(tzinfo=UTC))
