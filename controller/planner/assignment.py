"""What a choice comes to, for when it is made, and which accounts it looks at. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from controller.planner.boxes import Box, Slot, Waiting
from controller.planner.calendar import HOUR, hour_of
from controller.planner.lanes import Lane
from controller.planner.limits import (
    Account,
    Sender,
    accounts_of_curves,
    accounts_of_sender,
    accounts_toward,
    tries_toward,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """When it is, and up to when slots are filled ahead of their time."""

    now: datetime
    until: datetime


class Assignment(NamedTuple):
    """`at`: when it is to go; `day` and `hour`: what that counts toward. `curved`: also toward the
    warm-ups for its provider alone."""

    message: Waiting
    sender: Sender
    at: datetime
    day: date
    hour: datetime
    curved: bool = False

    def accounts(self) -> tuple[Account, ...]:
        """What the ledger is to be charged. What was tried before counts as another try alone."""
        day, hour, provider = self.day, self.hour, self.message.provider
        if self.message.charged:
            return tries_toward(self.sender, provider, hour)
        of_sender = accounts_of_sender(self.sender, day, hour)
        toward = accounts_toward(self.sender, provider, day, hour)
        curves = accounts_of_curves(self.sender, provider, day) if self.curved else ()
        return (*of_sender, *toward, *curves, self.message.lane.account(hour))


@dataclass(frozen=True, slots=True)
class Choice:
    """What became of it: assignments, and the slots that changed, by mailbox."""

    assignments: tuple[Assignment, ...]
    slots: dict[str, Slot]


def accounts_in(
    boxes: Iterable[Box],
    providers: Iterable[str],
    moment: Moment,
    lanes: Iterable[Lane] = (),
    curved: Collection[str] = (),
) -> Iterator[Account]:
    """All accounts that a choice at this moment may look at, some of them more than once.

    `curved`: as in `Caps`.
    """
    providers = list(providers)
    curves = [provider for provider in providers if provider in curved]
    hours = [hour_of(moment.now)]
    while hours[-1] + HOUR <= moment.until:
        hours.append(hours[-1] + HOUR)
    for lane in lanes:
        yield from map(lane.account, hours)
    seen: set[tuple[str, str, date]] = set()
    for box in boxes:
        sender = box.sender
        for day in {box.week.day_of(each).date for each in (moment.now, moment.until)}:
            for hour in hours:
                yield from accounts_of_sender(sender, day, hour)
            for provider in curves:
                yield from accounts_of_curves(sender, provider, day)
            # Many mailboxes share an egress and a domain.
            if (sender.egress_id, sender.domain, day) in seen:
                continue
            seen.add((sender.egress_id, sender.domain, day))
            for hour in hours:
                for provider in providers:
                    yield from accounts_toward(sender, provider, day, hour)
