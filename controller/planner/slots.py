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

from controller.planner.calendar import Day
from controller.planner.windows import Span, Week

_DAYS_AHEAD = 9
_NOTHING = timedelta()
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
    return slot_after(week, pace, week.day_of(after), after, left, cap, used, seed)


def slot_after(
    week: Week, pace: Pace, day: Day, after: datetime, left: int, cap: int, used: int, seed: int
) -> datetime | None:
    """The same for who knows the day already."""
    if cap <= 0:
        return None
    if not pace.spread:
        gap = pace.min_gap * (1 + pace.jitter * _fraction(seed, day.date, used))
        return week.next_open(after + gap if left > 0 else max(after + gap, day.end))
    least = after + pace.min_gap
    slot = None
    if left > 0:
        spans = week.open_on(day, after)
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
    if len(spans) == 1:
        start, end = spans[0]
        least = max(least, start + (end - start) / (left + 1) * (1 + jitter))
        return least if least < end else None
    total = _NOTHING
    for start, end in spans:
        total += end - start
    step = total / (left + 1) * (1 + jitter)
    for start, end in spans:
        length = end - start
        if step < length:
            least = max(least, start + step)
            break
        step -= length
    for start, end in spans:
        if least < end:
            return max(least, start)
    return None


def _fraction(seed: int, day: date, number: int) -> float:
    """From 0 up to 1, by splitmix64 (Steele and others, OOPSLA 2014)."""
    z = (seed ^ (day.toordinal() << 32)) + (number + 1) * 0x9E3779B97F4A7C15 & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)
