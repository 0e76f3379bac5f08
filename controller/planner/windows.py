"""When a mailbox may send: its windows on real days. Pure.

    week = Week(ZoneInfo("Europe/Berlin"), (week_window("mon-fri 08:00-18:00"),))
    week.open_on(day)     the spans of that local day, in UTC; on days without a window: none

Without windows a mailbox may always send.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from controller.planner.calendar import Day, at_clock, day_of, day_on
from inventory.pacing import WeekWindow

_WHOLE_DAY = WeekWindow(frozenset(range(7)), 0, 24 * 60)
_MOST_KNOWN = 32


class Span(NamedTuple):
    """From `start` up to, not including, `end`."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start


@dataclass(frozen=True)
class Week:
    """A mailbox's clock and windows."""

    zone: ZoneInfo
    windows: tuple[WeekWindow, ...] = ()
    # Spans of the days that were asked for, all of a day; at most so many.
    _known: dict[date, tuple[Span, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def day_of(self, instant: datetime) -> Day:
        return day_of(instant, self.zone)

    def day_after(self, day: Day) -> Day:
        return day_on(day.date + timedelta(days=1), self.zone)

    def open_on(self, day: Day, after: datetime | None = None) -> tuple[Span, ...]:
        """The spans in which it may send on that day, those before `after` cut off."""
        spans = self._known.get(day.date)
        if spans is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            spans = self._known[day.date] = _spans(self, day)
        if after is None or after <= day.start:
            return spans
        if len(spans) == 1:
            start, end = spans[0]
            return spans if after <= start else (Span(after, end),) if after < end else ()
        ahead = [span for span in spans if span.end > after]
        return tuple([Span(max(span.start, after), span.end) for span in ahead])

    def is_open(self, instant: datetime) -> bool:
        return self.next_open(instant) == instant

    def next_open(self, instant: datetime) -> datetime | None:
        """The first instant from this one on at which it may send; None: never."""
        day = self.day_of(instant)
        for _ in range(9):
            for start, end in self.open_on(day):
                if instant < end:
                    return max(start, instant)
            day = self.day_after(day)
        return None


def meet(one: Week, other: Week, now: datetime) -> bool:
    """Whether there is a moment within nine days in which both are open."""
    day = one.day_of(now)
    for _ in range(9):
        for span in one.open_on(day, now):
            opens = other.next_open(span.start)
            if opens is not None and opens < span.end:
                return True
        day = one.day_after(day)
    return False


def _spans(week: Week, day: Day) -> tuple[Span, ...]:
    """In order, without overlaps."""
    found = sorted(
        (
            max(day.start, at_clock(day.date, window.opens, week.zone)),
            min(day.end, at_clock(day.date, window.closes, week.zone)),
        )
        for window in week.windows or (_WHOLE_DAY,)
        if day.date.weekday() in window.days
    )
    spans: list[Span] = []
    for start, end in found:
        if spans and start <= spans[-1].end:
            spans[-1] = Span(spans[-1].start, max(end, spans[-1].end))
        elif start < end:
            spans.append(Span(start, end))
    return tuple(spans)
