"""When a log line was written. Pure.

The traditional stamp names neither year nor zone: it is local time, and the year is the one that
puts it nearest to `now` (a log is never read half a year late).
"""

from __future__ import annotations

from datetime import datetime, timedelta

_HALF_A_YEAR = timedelta(days=182)


_MONTHS = {
    "Jan": 1,
    "Feb": 2,
    "Mar": 3,
    "Apr": 4,
    "May": 5,
    "Jun": 6,
    "Jul": 7,
    "Aug": 8,
    "Sep": 9,
    "Oct": 10,
    "Nov": 11,
    "Dec": 12,
}


def read_stamp(stamp: str, now: datetime) -> datetime | None:
    """The aware instant of "Nov 21 22:34:14" or an RFC 3339 stamp; None where it is neither.

    `now` is aware and gives the year and the zone.
    """
    try:
        if stamp[:1].isdigit():
            read = datetime.fromisoformat(stamp)
            return read if read.tzinfo else read.replace(tzinfo=now.tzinfo)
        month, day = _MONTHS[stamp[:3]], int(stamp[4:6])
        hour, minute, second = int(stamp[7:9]), int(stamp[10:12]), int(stamp[13:15])
    except (ValueError, KeyError):
        return None
    nearest: datetime | None = None
    # This year first: it is nearly always the right one.
    for year in (now.year, now.year - 1, now.year + 1):
        try:
            candidate = datetime(year, month, day, hour, minute, second, tzinfo=now.tzinfo)
        except ValueError:
            continue  # 29 February, or no time at all
        if abs(candidate - now) < _HALF_A_YEAR:
            return candidate
        if nearest is None or abs(candidate - now) < abs(nearest - now):
            nearest = candidate
    return nearest


def not_after(at: datetime | None, now: datetime) -> datetime:
    """`at`, or `now` where the stamp is unreadable, or in the future, or a day old and more wrong.

    A clock that was stepped must not date an event after its report.
    """
    if at is None or at > now + timedelta(seconds=1):
        return now
    return at
