"""Who writes to whom, and when? Pure, from seeds.

A mailbox starts threads at times of its day, with a few others that it writes to again and again. A
thread goes to and fro between the two until it has its length. A reply comes an hour to a day after
what it answers, log-evenly (most within hours), with 15 minutes to either side, when the one who
replies is at work. That is when it may go; it goes in a slot of its mailbox.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from controller.planner.calendar import Day
from controller.planner.windows import Week
from controller.warm_up.draw import Draw
from inventory.pacing import week_window

SHORTEST, LONGEST = timedelta(hours=1), timedelta(hours=24)
JITTER = timedelta(minutes=15)
SETTLING = timedelta(minutes=90)
CONTACTS = 9
"""So many others a mailbox writes to of itself."""
_DRAWS = 16
_LENGTHS = (0.3, 0.62, 0.83, 0.94, 1.0)
# Where the inventory has no windows: people sleep.
_AWAKE = (week_window("daily 07:30-20:00"),)


@dataclass(frozen=True, slots=True)
class Correspondent:
    """A mailbox that may write and be written to. `seed`: the mailbox's own number."""

    address: str
    client_id: str
    display_name: str
    week: Week
    seed: int


def thread_id(writer: Correspondent, day: date, number: int) -> str:
    """Names the thread that a mailbox starts as its so many-th of a local day; 32 characters."""
    text = f"{writer.client_id}/{writer.address}/{writer.seed}/{day.isoformat()}/{number}"
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def awake(week: Week) -> Week:
    """When whoever has the mailbox writes: its windows, or the day without the night."""
    return week if week.windows else Week(week.zone, _AWAKE)


def starts(writer: Correspondent, day: Day, quota: int) -> list[tuple[int, datetime]]:
    """(number, time) of the threads that it starts on the day, at most `quota`, in order of time.

    Another quota changes nothing about the first ones, so a day may be looked at again and again.
    """
    spans = awake(writer.week).open_on(day)
    if not spans:
        return []
    total = sum((span.length for span in spans), timedelta())
    found = []
    for number in range(quota):
        offset = total * Draw(f"start/{thread_id(writer, day.date, number)}").fraction()
        for span in spans:
            if offset < span.length:
                found.append((number, span.start + offset))
                break
            offset -= span.length
    return sorted(found, key=lambda each: each[1])


def partner(
    writer: Correspondent, thread: str, others: Iterable[Correspondent]
) -> Correspondent | None:
    """Whom this thread is with: one of the mailbox's contacts among these; None: there are none.

    Contacts are those that rank first for it, so they stay the same where others come and go.
    """
    ranked = sorted(
        (each for each in others if each.address != writer.address),
        key=lambda each: _rank(writer.address, each.address),
    )
    if not ranked:
        return None
    # The first ones more often than the last.
    fraction = Draw(f"partner/{thread}").fraction()
    contacts = ranked[:CONTACTS]
    return contacts[int(fraction * fraction * len(contacts))]


def length(thread: str) -> int:
    """Messages of a thread in all, from 1."""
    fraction = Draw(f"length/{thread}").fraction()
    return 1 + sum(fraction >= bound for bound in _LENGTHS[:-1])


def reply_at(thread: str, position: int, arrived: datetime, week: Week) -> datetime | None:
    """When the message at this position (from 1) answers the one before; None: never awake.

    An hour to a day after `arrived`, give or take the jitter, at a time at which its writer is at
    work: of several draws the first such one. Where none is (over a weekend, say), soon after its
    writer is next at work.
    """
    draw = Draw(f"reply/{thread}/{position}")
    hours = awake(week)
    for _ in range(_DRAWS):
        delay: timedelta = SHORTEST * (LONGEST / SHORTEST) ** draw.fraction()
        at = arrived + delay + JITTER * (2 * draw.fraction() - 1)
        if hours.is_open(at):
            return at
    opens = hours.next_open(arrived + SHORTEST)
    # Not everybody who found mail in the morning answers in its first second.
    if opens is None:
        return None
    later = opens + SETTLING * draw.fraction()
    return later if hours.is_open(later) else opens


@lru_cache(maxsize=65_536)
def _rank(writer: str, other: str) -> bytes:
    return hashlib.sha256(f"{writer}\0{other}".encode()).digest()[:8]
