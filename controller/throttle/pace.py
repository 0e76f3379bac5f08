"""How fast a slowed pair may send: a pure state machine over one row of table slow_down.

    slower(…)    a receiver asked for less: down to what its rule says, or to half of what holds
                 where that was not enough
    rate(…)      what holds at an instant: doubled for every full quiet hour since the last refusal
    is_free(…)   the rate limits nothing any more

Recovery is no timer that jumps back: a pair at 20 an hour sends 40 in the second quiet hour, and
one refusal starts the count anew from what holds then. An hour without any mail counts as quiet
too: it cannot be told from one in which all went well, and the steps keep what follows small. The
view `rate_limit` does the same arithmetic in SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

QUIET = timedelta(hours=1)
"""After so long without a refusal the rate doubles."""
SETTLE = timedelta(minutes=10)
"""Refusals so soon after a lowering are of mail that was under way: they lower nothing again."""
LEAST_PER_HOUR = 1.0
START_PER_HOUR = 4.0
"""With so many messages an hour a pair begins again after it was stopped."""
_MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Slowed:
    """Messages an hour at `since`; `lowered_at`: when the rate was lowered last. Aware times."""

    per_hour: float
    since: datetime
    lowered_at: datetime


def rate(slowed: Slowed, now: datetime) -> float:
    """Messages an hour that are allowed now."""
    quiet_hours = (now - slowed.since) // QUIET
    return slowed.per_hour * float(2 ** min(_MOST_DOUBLINGS, max(0, quiet_hours)))


def slower(slowed: Slowed | None, per_hour: float, now: datetime) -> Slowed:
    """The pair after a refusal whose rule asks for `per_hour`. Never faster than it was.

    `now` may lie before what is known already (reports arrive late); it counts as that instant.
    """
    wanted = max(LEAST_PER_HOUR, per_hour)
    if slowed is None:
        return Slowed(wanted, now, now)
    now = max(now, slowed.since)
    current = rate(slowed, now)
    lowered = min(current, wanted)
    if current <= wanted and now - slowed.lowered_at >= SETTLE:
        lowered = max(LEAST_PER_HOUR, current / 2)
    lowered = min(lowered, current)
    return Slowed(lowered, now, now if lowered < current else slowed.lowered_at)


def starting(slowed: Slowed | None, per_hour: float, at: datetime) -> Slowed:
    """The pair that begins again with `per_hour` at `at`, after nothing at all until then."""
    if slowed is not None and slowed.since > at:
        at = slowed.since
    least = per_hour if slowed is None else min(per_hour, rate(slowed, at))
    return Slowed(max(LEAST_PER_HOUR, least), at, at)


def is_free(slowed: Slowed, now: datetime, free_per_hour: float) -> bool:
    """Whether the rate has grown to what limits nothing (`free_per_hour`: the egress's own cap)."""
    return now >= slowed.since and rate(slowed, now) >= free_per_hour
