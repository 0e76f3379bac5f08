"""A circuit breaker for a pair of provider and egress or domain: a pure state machine.

    closed     mail goes; a run of refusals opens it
    open       nothing goes until `until`; longer each time it opens again
    half open  `until` has passed: one message tries. Refused: open again. Accepted: closed

Closing is not full speed: what opens a breaker also slows the pair (controller.throttle.pace),
which begins at the bottom when the breaker has closed and doubles from there.

A refusal is a receiver's first word about a message, for what the sender is or does, not for the
address; that Postfix tries a deferred message again counts once. While open, refusals of mail that
was under way change nothing, and an acceptance closes it: the receiver takes mail again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

RUN = 5
"""So many refusals one after the other open it."""
FIRST_PAUSE = timedelta(minutes=15)
LONGEST_PAUSE = timedelta(hours=12)
FORGET = timedelta(hours=24)
"""Closed for so long, it opens for the first time again."""


class Position(StrEnum):
    """As the CHECK of table breaker says; half open is open and past `until`."""

    CLOSED = "closed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """`refusals`: the run so far, while closed; `opened`: times in a row. Aware times."""

    changed_at: datetime
    position: Position = Position.CLOSED
    refusals: int = 0
    opened: int = 0
    until: datetime | None = None

    def is_half_open(self, now: datetime) -> bool:
        """Whether one message may try."""
        return self.position is Position.OPEN and self.until is not None and now >= self.until

    def is_plain(self, now: datetime) -> bool:
        """Whether there is nothing to remember."""
        closed = self.position is Position.CLOSED and self.refusals == 0
        return closed and (self.opened == 0 or now - self.changed_at >= FORGET)


def pause(opened: int) -> timedelta:
    """How long it stays open the `opened`th time in a row (1: the first)."""
    doublings = min(max(0, opened - 1), 20)
    return min(LONGEST_PAUSE, FIRST_PAUSE * (1 << doublings))


def refused(breaker: Breaker, at: datetime) -> Breaker:
    """After a refusal at `at`."""
    if breaker.position is Position.OPEN:
        return _open(breaker, at) if breaker.is_half_open(at) else breaker
    if breaker.refusals + 1 >= RUN:
        fresh = at - breaker.changed_at >= FORGET
        return _open(replace(breaker, opened=0) if fresh else breaker, at)
    return replace(breaker, refusals=breaker.refusals + 1)


def accepted(breaker: Breaker, at: datetime) -> Breaker:
    """After a message was taken."""
    if breaker.position is Position.OPEN:
        return Breaker(at, Position.CLOSED, 0, breaker.opened)
    return replace(breaker, refusals=0)


def _open(breaker: Breaker, at: datetime) -> Breaker:
    opened = breaker.opened + 1
    return Breaker(at, Position.OPEN, 0, opened, at + pause(opened))
