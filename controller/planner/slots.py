"""When is a mailbox's next slot? Pure.

Spread: what is left of the day's windows is divided by what is left of the day's allowance, so
slots come evenly, and closer together only where some were missed. Each gap is stretched or
shortened by a jitter that follows from the day and a number drawn once for the mailbox and stored,
so a restart draws nothing anew. A slot lies in a window, and never nearer to the last one than the
shortest gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from controller.planner.windows import Span, Week

_DAYS_AHEAD = 9
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Pace:
    """How slots follow one another. `jitter`: 0 to 0.9, the greatest share a gap may differ by."""

    spread: bool
    min_gap: timedelta
    jitter: float


def next_slot(
    week: Week, pace: Pace, after: datetime, left: int, cap: int, used: int, seed: int
) -> datetime | None:
    """The slot that follows the one at `after`; None: none within a week.

    left, used: messages of the day of `after`; cap: of a whole day. `seed`: the mailbox's number.
    """
    if cap <= 0:
        return None
    day = week.day_of(after)
    if not pace.spread:
        gap = pace.min_gap * (1 + pace.jitter * _fraction(seed, day.date, used))
        return week.next_open(after + gap if left > 0 else max(after + gap, day.end))
    spans = week.open_on(day, after) if left > 0 else ()
    least = after + pace.min_gap
    slot = _slot_in(spans, pace, left, _fraction(seed, day.date, used), least)
    for _ in range(_DAYS_AHEAD):
        if slot is not None:
            break
        day = week.day_after(day)
        spans = week.open_on(day, least)
        slot = _slot_in(spans, pace, cap, _fraction(seed, day.date, 0), least)
    return slot


def _slot_in(
    spans: tuple[Span, ...], pace: Pace, left: int, fraction: float, least: datetime
) -> datetime | None:
    """Counted from the beginning of the first span; None where the day's windows end before.

    With n messages left the next one takes 1/(n+1) of the time left, so that the last one leaves as
    much time behind it as there was before the first; a jitter below 1 cannot lead out. Not
    before `least`.
    """
    jitter = pace.jitter * (2 * fraction - 1)
    total = sum((span.length for span in spans), timedelta())
    step = total / (left + 1) * (1 + jitter)
    for span in spans:
        if step < span.length:
            least = max(least, span.start + step)
            break
        step -= span.length
    later = (max(least, span.start) for span in spans if least < span.end)
    return next(later, None)


def _fraction(seed: int, day: date, number: int) -> float:
    """From 0 up to 1, by splitmix64 (Steele and others, OOPSLA 2014)."""
    z = (seed ^ (day.toordinal() << 32)) + (number + 1) * 0x9E3779B97F4A7C15 & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)
