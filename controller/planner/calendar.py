"""Days and hours as limits count them. Pure.

A day is a local day: it begins and ends at midnight in a time zone, so it has 23 or 25 hours where
the clock changes. An hour is a fixed hour of UTC, whatever the zone. Instants are aware datetimes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)
_last: dict[ZoneInfo, Day] = {}


@dataclass(frozen=True, slots=True)
class Day:
    """A local day: from `start` up to, not including, `end` (both in UTC)."""

    date: date
    start: datetime
    end: datetime


@lru_cache(maxsize=4096)
def day_on(day: date, zone: ZoneInfo) -> Day:
    """The local day of this date."""
    return Day(day, at_clock(day, 0, zone), at_clock(day + timedelta(days=1), 0, zone))


def day_of(instant: datetime, zone: ZoneInfo) -> Day:
    """The local day that an instant lies in."""
    # Who asks about one instant asks about others of that day next.
    last = _last.get(zone)
    if last is not None and last.start <= instant < last.end:
        return last
    day = _last[zone] = day_on(instant.astimezone(zone).date(), zone)
    return day


def at_clock(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """The instant at which the local clock shows these minutes of the day (1,440: its end).

    What the clock shows twice is taken the first time; what it skips is the moment it would have
    shown had it not been changed.
    """
    if minutes >= 24 * 60:
        return at_clock(day + timedelta(days=1), 0, zone)
    local = datetime.combine(day, time(minutes // 60, minutes % 60), tzinfo=zone)
    return local.astimezone(UTC)


def hour_of(instant: datetime) -> datetime:
    """The beginning of the hour of UTC that an instant lies in."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
