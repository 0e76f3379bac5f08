"""When a log line was written. Pure.

The traditional stamp names neither year nor zone: it is local time, and the year is the one that
puts it nearest to `now` (a log is never read half a year late).
"""

from __future__ import annotations

from datetime import datetime, timedelta


def read_stamp(stamp: str, now: datetime) -> datetime | None:
    """The aware instant of "Nov 21 22:34:14" or an RFC 3339 stamp; None where it is neither.

    `now` is aware and gives the year and the zone.
    """
    try:
        if stamp[:1].isdigit():
            read = datetime.fromisoformat(stamp)
            return read if read.tzinfo else read.replace(tzinfo=now.tzinfo)
        candidates = [_in_year(stamp, now.year + offset, now) for offset in (-1, 0, 1)]
    except ValueError:
        return None
    found = [c for c in candidates if c is not None]
    return min(found, key=lambda c: abs(c - now), default=None)


def _in_year(stamp: str, year: int, now: datetime) -> datetime | None:
    try:
        naive = datetime.strptime(f"{year} {stamp}", "%Y %b %d %H:%M:%S")  # noqa: DTZ007
    except ValueError:
        if stamp.startswith("Feb 29"):
            return None
        raise
    return naive.replace(tzinfo=now.tzinfo)


def not_after(at: datetime | None, now: datetime) -> datetime:
    """`at`, or `now` where the stamp is unreadable, or in the future, or a day old and more wrong.

    A clock that was stepped must not date an event after its report.
    """
    if at is None or at > now + timedelta(seconds=1):
        return now
    return at
