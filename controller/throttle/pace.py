"""How fast a slowed pair may send: a pure state machine over one row of table slow_down.

    slower(…)    a receiver asked for less: down to what its rule says, or to half of what holds
                 where that was not enough
    rate(…)      what holds at an instant: doubled for every full quiet hour since the last refusal
    is_free(…)   the rate limits nothing any more

Recovery is no timer that jumps back: a pair at 20 an hour sends 40 in the second quiet hour, and
one refusal starts the count anew from what holds then. The rate that was refused is the pair's
ceiling: below it the rate rests for a while before it tries that step again, so that a receiver
whose limit does not change refuses a few messages in many hours, not in every other one. An hour
without any mail counts as quiet too: it cannot be told from one in which all went well, and the
steps keep what follows small. The view `rate_limit` does the same arithmetic in SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

QUIET = timedelta(hours=1)
"""After so long without a refusal the rate doubles."""
REST_HOURS = 6
"""So many quiet hours more it stays below the rate that was refused."""
SETTLE = timedelta(minutes=10)
"""Refusals so soon after a lowering are of mail that was under way: they lower nothing again."""
LEAST_PER_HOUR = 1.0
START_PER_HOUR = 4.0
"""With so many messages an hour a pair begins again after it was stopped."""
_MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Slowed:
    """Messages an hour at `since`; `lowered_at`: when the rate was lowered last. Aware times.

    `ceiling`: the rate that was refused last; infinite where none is known.
    """

    per_hour: float
    since: datetime
    lowered_at: datetime
    ceiling: float = inf

    @property
    def rests_after(self) -> int:
        """After so many doublings it rests: the next would reach the ceiling."""
        steps = 0
        while steps < _MOST_DOUBLINGS and self.per_hour * 2 ** (steps + 1) < self.ceiling:
            steps += 1
        return steps


def rate(slowed: Slowed, now: datetime) -> float:
    """Messages an hour that are allowed now."""
    quiet_hours = max(0, (now - slowed.since) // QUIET)
    rests_after = slowed.rests_after
    steps = quiet_hours
    if quiet_hours > rests_after:
        steps = max(rests_after, quiet_hours - REST_HOURS)
    return slowed.per_hour * float(2 ** min(_MOST_DOUBLINGS, steps))


def slower(slowed: Slowed | None, per_hour: float, now: datetime) -> Slowed:
    """The pair after a refusal whose rule asks for `per_hour`. Never faster than it was.

    `now` may lie before what is known already (reports arrive late); it counts as that instant.
    """
    wanted = max(LEAST_PER_HOUR, per_hour)
    if slowed is None:
        return Slowed(wanted, now, now)
    now = max(now, slowed.since)
    current = rate(slowed, now)
    lowered, ceiling = min(current, wanted), _refused(slowed, now)
    if current <= wanted and not _settles(slowed, now):
        lowered = max(LEAST_PER_HOUR, current / 2)
    lowered = min(lowered, current)
    return Slowed(lowered, now, now if lowered < current else slowed.lowered_at, ceiling)


def starting(
    slowed: Slowed | None, per_hour: float, at: datetime, refused_at: datetime | None = None
) -> Slowed:
    """The pair that begins again with `per_hour` at `at`, after nothing at all until then; below
    what was refused at `refused_at` (None: nothing was)."""
    if slowed is None:
        return Slowed(max(LEAST_PER_HOUR, per_hour), at, at)
    ceiling = slowed.ceiling
    if refused_at is not None:
        ceiling = _refused(slowed, max(refused_at, slowed.since))
    at = max(at, slowed.since)
    least = min(per_hour, rate(slowed, at))
    if least >= ceiling:
        least = ceiling / 2
    return Slowed(max(LEAST_PER_HOUR, least), at, at, ceiling)


def is_free(slowed: Slowed, now: datetime, free_per_hour: float) -> bool:
    """Whether the rate has grown to what limits nothing (`free_per_hour`: the egress's own cap)."""
    return now >= slowed.since and rate(slowed, now) >= free_per_hour


def _settles(slowed: Slowed, now: datetime) -> bool:
    return now - slowed.lowered_at < SETTLE


def _refused(slowed: Slowed, now: datetime) -> float:
    """The ceiling after a refusal: what holds, or what held when the refused mail went."""
    return slowed.ceiling if _settles(slowed, now) else rate(slowed, now)
