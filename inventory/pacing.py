"""When mailboxes send: time zones, windows, and how slots are spread. What an operator may write.

    Window.parse("mon-fri 08:00-18:00")    days of the week and minutes of the day, local time

Where a window lies on a given day, with changes of the clock, is for `controller.planner.windows`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints

from inventory.fields import Allowed, Count, Flag, Strict, WholeSeconds

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d"
_FORM = re.compile(
    rf"(daily|({'|'.join(WEEK)})(?:-({'|'.join(WEEK)}))?) ({_CLOCK})-({_CLOCK}|24:00)"
)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(_NO_ZONE) from error
    return name


_NO_ZONE = "must be a time zone of the IANA database, such as Europe/Berlin or UTC"


def _right_way_round(text: str) -> str:
    week_window(text)
    return text


TimeZone = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$"),
    AfterValidator(_known_zone),
    Allowed("a time zone of the IANA database, such as Europe/Berlin or UTC"),
]
Window = Annotated[
    str,
    StringConstraints(pattern=rf"^{_FORM.pattern}$"),
    AfterValidator(_right_way_round),
    Allowed("days and hours, such as mon-fri 08:00-18:00, sat 10:00-12:00 or daily 00:00-24:00"),
]


@dataclass(frozen=True, slots=True)
class WeekWindow:
    """`days`: 0 is Monday. Open from minute `opens` of the local day up to, without, `closes`."""

    days: frozenset[int]
    opens: int
    closes: int


def week_window(text: str) -> WeekWindow:
    """The window in numbers. Raises ValueError where it is none, or closes before it opens."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no window")
    daily, first, last = match[1] == "daily", match[2], match[3]
    begin = 0 if daily else WEEK.index(first)
    length = 7 if daily else (WEEK.index(last or first) - begin) % 7 + 1
    days = frozenset((begin + n) % 7 for n in range(length))
    opens, closes = _minutes(match[4]), _minutes(match[6])
    if closes <= opens:
        raise ValueError(
            "must close after it opens, on the same day: a night is two windows, up to 24:00 and "
            "from 00:00"
        )
    return WeekWindow(days, opens, closes)


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return min(_DAY_MINUTES, 60 * int(hours) + int(minutes))


class Pacing(Strict):
    """When mailboxes send. Each has one next slot; a due slot takes the best waiting message."""

    windows: tuple[Window, ...] = ()
    """When mailboxes may send, local time; none: at any time."""
    spread: Flag = True
    """true: slots are spread over what is left of the day's windows; false: min_gap_s after one
    another."""
    min_gap_s: Annotated[WholeSeconds, Field(ge=0, le=86_400)] = 120
    """The shortest time between two messages of a mailbox, in seconds."""
    jitter_percent: Annotated[Count, Field(ge=0, le=90)] = 30
    """How much a gap may differ from an even one, in percent; drawn once a day."""
