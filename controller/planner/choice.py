"""Slots pull messages: which mailbox sends which message, and when? Pure.

Mailboxes are served in the order of their slots. Of those whose slots are due already, the one
comes first that used the smallest share of its day's allowance; so mailboxes take turns, and one
that may send more, or is healthier, is chosen more often. A slot takes the best message that may
go, one for this mailbox or one for any, to a provider with a budget, in a lane that is open:
follow-ups first, then campaigns by their shares, then the oldest. What a limit stops is held, and
looked at again later.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from controller.planner.boxes import Box, Queues, Slot, Waiting
from controller.planner.budgets import Budgets
from controller.planner.calendar import HOUR, Day, hour_of
from controller.planner.lanes import Lane
from controller.planner.limits import (
    OF_PROVIDER,
    UNLIMITED,
    Account,
    Limit,
    Sender,
    accounts_of_sender,
    accounts_toward,
    tries_toward,
)
from controller.planner.slots import Pace, next_slot

# When a mailbox that a limit holds is looked at again, should the limit not end or change before:
# somebody may have raised it, or an allowance may have been given back. One that a provider's limit
# holds may get mail to another provider, too.
_AGAIN = timedelta(minutes=5)
_AGAIN_PROVIDER = timedelta(minutes=1)
_SOON = timedelta(seconds=1)
_Turn = tuple[datetime, float, str]


@dataclass(frozen=True, slots=True)
class Moment:
    """When it is, and up to when slots are filled ahead of their time."""

    now: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Assignment:
    """`at`: when it is to go; `day` and `hour`: what that counts toward."""

    message: Waiting
    sender: Sender
    at: datetime
    day: date
    hour: datetime

    def accounts(self) -> tuple[Account, ...]:
        """What the ledger is to be charged. What was tried before counts as another try alone."""
        day, hour, provider = self.day, self.hour, self.message.provider
        if self.message.charged:
            return tries_toward(self.sender, provider, hour)
        of_sender = accounts_of_sender(self.sender, day, hour)
        toward = accounts_toward(self.sender, provider, day, hour)
        return (*of_sender, *toward, self.message.lane.account(hour))


@dataclass(frozen=True, slots=True)
class Choice:
    """What became of it: assignments, and the slots that changed, by mailbox."""

    assignments: tuple[Assignment, ...]
    slots: dict[str, Slot]


def accounts_in(
    boxes: Iterable[Box], providers: Iterable[str], moment: Moment, lanes: Iterable[Lane] = ()
) -> Iterator[Account]:
    """All accounts that a choice at this moment may look at, some of them more than once."""
    providers = list(providers)
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
            # Many mailboxes share an egress and a domain.
            if (sender.egress_id, sender.domain, day) in seen:
                continue
            seen.add((sender.egress_id, sender.domain, day))
            for hour in hours:
                for provider in providers:
                    yield from accounts_toward(sender, provider, day, hour)


def choose(
    boxes: Iterable[Box],
    queues: Queues,
    budgets: Budgets,
    moment: Moment,
    pace: Pace,
    most: int,
) -> Choice:
    """At most `most` assignments; uses queues and budgets up."""
    return _Choosing(boxes, queues, budgets, moment, pace).run(most)


class _Choosing:
    def __init__(
        self,
        boxes: Iterable[Box],
        queues: Queues,
        budgets: Budgets,
        moment: Moment,
        pace: Pace,
    ) -> None:
        self._boxes = {box.address: box for box in boxes}
        self._queues = queues
        self._budgets = budgets
        self._moment = moment
        self._pace = pace
        self._slots: dict[str, Slot] = {}
        self._heap: list[_Turn] = []
        self._assignments: list[Assignment] = []

    def run(self, most: int) -> Choice:
        for box in self._boxes.values():
            self._put(box, self._first_slot(box))
        while self._heap and len(self._assignments) < most:
            at, _, address = heapq.heappop(self._heap)
            self._serve(self._boxes[address], at)
        return Choice(tuple(self._assignments), self._slots)

    def _serve(self, box: Box, at: datetime) -> None:
        day, hour = box.week.day_of(at), hour_of(at)
        accounts = accounts_of_sender(box.sender, day.date, hour)
        spent = self._budgets.binding(accounts)
        message, stopped, later = self._best(box, at, day, hour, spent)
        if message is not None:
            self._assign(box, message, at, day, hour)
        elif stopped is not None:
            self._hold(box, stopped, at, day)
        elif later is not None:
            opens = box.week.next_open(later)
            if opens is not None and opens <= self._moment.until:
                self._put(box, opens)

    def _best(
        self, box: Box, at: datetime, day: Day, hour: datetime, spent: Account | None
    ) -> tuple[Waiting | None, Account | None, datetime | None]:
        """The message for this slot; where a limit stops all there are, that limit; where all come
        later, when the first one does.
        """
        stopped, ready, later = None, [], None
        for lane, heads in self._queues.heads(box):
            opens = self._opens(lane, at)
            if opens is None:
                continue
            turn = self._turn(lane, hour)
            for message in heads:
                begins = max(opens, message.not_before)
                if begins > at:
                    later = begins if later is None else min(later, begins)
                else:
                    # Ids differ, so messages are never compared.
                    rank = (not lane.follow_up, turn, message.not_before, message.id)
                    ready.append((rank, message))
        ready.sort()
        for _, message in ready:
            if message.charged:
                tries = tries_toward(box.sender, message.provider, hour)
                account = self._budgets.binding(tries)
            else:
                toward = accounts_toward(box.sender, message.provider, day.date, hour)
                account = spent or self._budgets.binding(toward)
            if account is None:
                return message, None, None
            stopped = stopped or account
        return None, stopped, later

    def _opens(self, lane: Lane, at: datetime) -> datetime | None:
        """From when on its messages may go; None: not within the horizon, for all we know."""
        opens = lane.next_open(at)
        while opens is not None and opens <= self._moment.until:
            hour = hour_of(opens)
            if lane.burst >= UNLIMITED or self._budgets.left(lane.account(hour)) > 0:
                return opens
            opens = lane.next_open(hour + HOUR)
        return None

    def _turn(self, lane: Lane, hour: datetime) -> float:
        """The lower, the sooner: what its campaign used of the hour, for its weight."""
        return (self._budgets.used(lane.account(hour)) + 1) / lane.weight

    def _assign(self, box: Box, message: Waiting, at: datetime, day: Day, hour: datetime) -> None:
        assignment = Assignment(message, box.sender, at, day.date, hour)
        self._assignments.append(assignment)
        self._queues.remove(message)
        self._budgets.take(assignment.accounts())
        mailbox_day = Account(Limit.MAILBOX_DAY, box.address, day.date)
        if self._budgets.left(mailbox_day) <= 0:
            self._change(box, slot_at=at)
            self._hold(box, mailbox_day, at, day)
            return
        self._change(box, slot_at=at, held="", held_since=None, held_until=None)
        self._wait_until(box, self._next(box, at, day))

    def _hold(self, box: Box, account: Account, at: datetime, day: Day) -> None:
        """Notes what stops the mailbox; it goes on when that ends, and is looked at before."""
        ends = hour_of(at) + HOUR if account.is_hour else self._next(box, at, day, left=0)
        words = self._budgets.words(account)
        before, now = self._slot(box), self._moment.now
        since = before.held_since if before.held == words else now
        look = now + (_AGAIN_PROVIDER if account.limit in OF_PROVIDER else _AGAIN)
        over = ends or day.end
        changes = self._budgets.changes_at(account)
        if changes is not None:
            # Not ahead of it: until then nobody knows what it will be.
            look = min(look, max(changes, now + _SOON))
            over = min(over, max(changes, now + _SOON))
        self._change(box, held=words, held_since=since, held_until=over)
        again = look + (self._moment.until - now)
        self._wait_until(box, again if ends is None else min(ends, again))

    def _wait_until(self, box: Box, due_at: datetime | None) -> None:
        if due_at is None:
            due_at = self._moment.until + _AGAIN
        self._change(box, due_at=due_at)
        if due_at <= self._moment.until:
            self._put(box, due_at)

    def _put(self, box: Box, slot: datetime | None) -> None:
        at = box.week.next_open(max(slot or self._moment.until + _AGAIN, self._moment.now))
        if at is None or at > self._moment.until:
            self._change(box, due_at=at or self._moment.until + _AGAIN)
            return
        account = Account(Limit.MAILBOX_DAY, box.address, box.week.day_of(at).date)
        used, cap = self._budgets.used(account), self._budgets.cap(account)
        share = (used + 1) / max(1, cap) / box.health
        heapq.heappush(self._heap, (at, share, box.address))

    def _first_slot(self, box: Box) -> datetime | None:
        """A mailbox that never sent may begin; one whose slot is to be drawn counts on; one that a
        limit kept from its slot may use it as soon as there is room.
        """
        slot = box.slot
        if slot.held and slot.due_at is not None:
            now = self._moment.now
            return now if slot.slot_at is None else max(now, slot.slot_at + self._pace.min_gap)
        if slot.due_at is not None or slot.slot_at is None:
            return slot.due_at or self._moment.now
        today = box.week.day_of(self._moment.now)
        return self._next(box, max(slot.slot_at, today.start), today)

    def _next(
        self, box: Box, after: datetime, day: Day, left: int | None = None
    ) -> datetime | None:
        account = Account(Limit.MAILBOX_DAY, box.address, day.date)
        return next_slot(
            box.week,
            self._pace,
            after,
            self._budgets.left(account) if left is None else left,
            self._budgets.cap(account),
            self._budgets.used(account),
            box.seed,
        )

    def _slot(self, box: Box) -> Slot:
        return self._slots.get(box.address, box.slot)

    def _change(self, box: Box, **changes: object) -> None:
        self._slots[box.address] = replace(self._slot(box), **changes)  # type: ignore[arg-type]
