"""Which warm-up mail is to be written now? Pure.

Replies come first, then new threads, and no mailbox gets more than its room. What is due is written
a little ahead of its time; what could not be written at its time (a pause of the controller, no
room) is written late, a reply by a day at most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.warm_up.correspondents import Desk
from controller.warm_up.threads import Correspondent, partner, reply_at, starts, thread_id

AHEAD = timedelta(minutes=10)
LATE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Ended:
    """A message that may have to be answered. `arrived`: a receiver took it, at `at`."""

    message_id: str
    thread: str
    position: int
    arrived: bool
    at: datetime
    writer: str
    recipient: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A message to be written. `answers`: what it is a reply to, or None: it starts its thread."""

    thread: str
    writer: Correspondent
    recipient: Correspondent
    at: datetime
    answers: Ended | None = None

    @property
    def position(self) -> int:
        return self.answers.position + 1 if self.answers else 0


class Rooms:
    """How much each mailbox may still write; used up by `take`."""

    def __init__(self, desks: Mapping[str, Desk]) -> None:
        self._desks = desks
        self._taken: dict[str, int] = defaultdict(int)

    def for_reply(self, address: str) -> int:
        return self._desks[address].room - self._taken[address]

    def for_start(self, address: str) -> int:
        desk = self._desks[address]
        return min(desk.quota - desk.written, desk.room) - self._taken[address]

    def take(self, address: str) -> None:
        self._taken[address] += 1


def replies(
    ended: Iterable[Ended],
    desks: Mapping[str, Desk],
    rooms: Rooms,
    now: datetime,
    *,
    across_clients: bool,
) -> tuple[list[Planned], list[str]]:
    """What is to be answered now; and the ids of messages that never will be."""
    planned, closed = [], []
    for each in ended:
        writer, recipient = desks.get(each.recipient), desks.get(each.writer)
        at = None
        if each.arrived and writer and recipient and may_write(writer, recipient, across_clients):
            at = reply_at(each.thread, each.position + 1, each.at, writer.who.week)
        if writer is None or recipient is None:
            # Suspended, say: it may come back in time.
            if not each.arrived or each.at + 2 * LATE < now:
                closed.append(each.message_id)
        elif at is None or at + LATE < now:
            closed.append(each.message_id)
        elif at <= now + AHEAD and rooms.for_reply(writer.who.address) > 0:
            rooms.take(writer.who.address)
            planned.append(Planned(each.thread, writer.who, recipient.who, at, each))
    return planned, closed


def may_write(writer: Desk, recipient: Desk, across_clients: bool) -> bool:
    """Whether the inventory lets these two mailboxes write to one another."""
    return across_clients or writer.who.client_id == recipient.who.client_id


def due_starts(desks: Iterable[Desk], now: datetime) -> list[tuple[str, Correspondent, datetime]]:
    """(thread, writer, time) of all threads of the writers' days that are due, begun or not."""
    found = []
    for desk in desks:
        if desk.quota <= 0:
            continue
        day = desk.who.week.day_of(now)
        for number, at in starts(desk.who, day, desk.quota):
            if at <= now + AHEAD:
                found.append((thread_id(desk.who, day.date, number), desk.who, at))
    return sorted(found, key=lambda each: (each[2], each[0]))


def first_messages(
    due: Iterable[tuple[str, Correspondent, datetime]],
    known: Collection[str],
    desks: Mapping[str, Desk],
    rooms: Rooms,
    *,
    across_clients: bool,
) -> list[Planned]:
    """What is to be written of `due`: threads that nobody began, with a partner, within rooms."""
    by_client: dict[str, list[Correspondent]] = defaultdict(list)
    for desk in desks.values():
        by_client["" if across_clients else desk.who.client_id].append(desk.who)
    planned = []
    for thread, writer, at in due:
        if thread in known or rooms.for_start(writer.address) <= 0:
            continue
        others = by_client["" if across_clients else writer.client_id]
        recipient = partner(writer, thread, others)
        if recipient is not None:
            rooms.take(writer.address)
            planned.append(Planned(thread, writer, recipient, at))
    return planned
