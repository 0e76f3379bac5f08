"""A mailbox while a choice is made: its slot as it becomes, and its lines of the ledger. Pure.

A choice asks for the same accounts again with each message, so what holds for an hour of a
mailbox's day is looked up once.
"""

from __future__ import annotations

from datetime import date, datetime

from controller.planner.boxes import Box, Slot, Waiting
from controller.planner.budgets import Budgets, Line
from controller.planner.calendar import HOUR, Day, hour_of
from controller.planner.lanes import Lane
from controller.planner.limits import (
    Account,
    Limit,
    Sender,
    accounts_of_curves,
    accounts_shared,
    accounts_toward,
    tries_toward,
)


class Shared:
    """The lines that mailboxes of one egress and domain have together, in one hour of their day."""

    __slots__ = (
        "begins", "budgets", "curved", "day", "ends", "hour", "lanes", "of_sender", "toward",
    )  # fmt: skip

    def __init__(
        self, sender: Sender, day: Day, hour: datetime, budgets: Budgets, lanes: dict[Lane, Line]
    ) -> None:
        """`lanes`: of the whole hour, filled by who needs one."""
        self.day, self.hour = day, hour
        self.begins, self.ends = max(day.start, hour), min(day.end, hour + HOUR)
        self.budgets, self.lanes, self.curved = budgets, lanes, budgets.curved
        self.of_sender = budgets.lines(accounts_shared(sender, day.date, hour))
        self.toward: dict[str, tuple[Line, ...]] = {}


class HourLines:
    """The lines that messages of one mailbox count toward in one hour of its day; from `begins` up
    to, not including, `ends`."""

    __slots__ = (
        "_asked", "_curves", "_found", "_shared", "begins", "date", "day", "ends", "hour",
        "mailbox_day", "of_sender", "sender",
    )  # fmt: skip

    def __init__(self, sender: Sender, shared: Shared) -> None:
        self.sender, self._shared = sender, shared
        self._curves: dict[str, tuple[Line, ...]] = {}
        # One message is asked about twice: whether it may go, and what it takes.
        self._asked: Waiting | None = None
        self._found: tuple[Line, ...] = ()
        self.day = shared.day
        self.date, self.hour = day, hour = shared.day.date, shared.hour
        self.begins, self.ends = shared.begins, shared.ends
        line = shared.budgets.line
        of_hour = line(Account(Limit.MAILBOX_HOUR, sender.mailbox, hour))
        self.mailbox_day = of_day = line(Account(Limit.MAILBOX_DAY, sender.mailbox, day))
        self.of_sender = (of_hour, of_day, *shared.of_sender)

    def toward(self, provider: str) -> tuple[Line, ...]:
        """The lines of a message to this provider, besides those of its sender."""
        shared = self._shared
        lines = shared.toward.get(provider)
        if lines is None:
            accounts = accounts_toward(self.sender, provider, self.date, self.hour)
            lines = shared.toward[provider] = shared.budgets.lines(accounts)
        if shared.curved and provider in shared.curved:
            return (*lines, *self._of_curves(provider))
        return lines

    def _of_curves(self, provider: str) -> tuple[Line, ...]:
        lines = self._curves.get(provider)
        if lines is None:
            accounts = accounts_of_curves(self.sender, provider, self.date)
            lines = self._curves[provider] = self._shared.budgets.lines(accounts)
        return lines

    def of_lane(self, lane: Lane) -> Line:
        """The line of a message's campaign."""
        line = self._shared.lanes.get(lane)
        if line is None:
            line = self._shared.lanes[lane] = self._shared.budgets.line(lane.account(self.hour))
        return line

    def of(self, message: Waiting) -> tuple[Line, ...]:
        """Those toward its provider; of one that was tried before there are no others."""
        if message is not self._asked:
            self._asked, self._found = message, self._look_up(message)
        return self._found

    def _look_up(self, message: Waiting) -> tuple[Line, ...]:
        if message.charged:
            tries = tries_toward(self.sender, message.provider, self.hour)
            return self._shared.budgets.lines(tries)
        return self.toward(message.provider)


class Seat:
    """One mailbox. What is written here of its slot is the slot's afterwards."""

    __slots__ = (
        "box", "due_at", "held", "held_since", "held_until", "is_changed", "lines", "slot_at",
    )  # fmt: skip

    def __init__(self, box: Box) -> None:
        slot = box.slot
        self.box = box
        self.due_at, self.slot_at = slot.due_at, slot.slot_at
        self.held, self.held_since, self.held_until = slot.held, slot.held_since, slot.held_until
        self.is_changed = False
        self.lines: HourLines | None = None

    def slot(self) -> Slot:
        """As it is now."""
        return Slot(self.due_at, self.slot_at, self.held, self.held_since, self.held_until)


class Lines:
    """The lines of all mailboxes of a choice."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets
        self._shared: dict[tuple[str, str, date, datetime], Shared] = {}
        self._lanes: dict[datetime, dict[Lane, Line]] = {}
        self._hour: datetime | None = None

    def at(self, seat: Seat, instant: datetime) -> HourLines:
        """Those of a mailbox's messages at this instant."""
        lines = seat.lines
        if lines is not None and lines.begins <= instant < lines.ends:
            return lines
        hour = self._hour
        if hour is None or not hour <= instant < hour + HOUR:
            hour = self._hour = hour_of(instant)
        sender, day = seat.box.sender, seat.box.week.day_of(instant)
        key = sender.egress_id, sender.domain, day.date, hour
        shared = self._shared.get(key)
        if shared is None:
            lanes = self._lanes.setdefault(hour, {})
            shared = self._shared[key] = Shared(sender, day, hour, self._budgets, lanes)
        lines = seat.lines = HourLines(sender, shared)
        return lines
