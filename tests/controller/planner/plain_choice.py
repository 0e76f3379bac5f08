"""What `choose` must give, written down plainly: nothing is remembered, everything is looked up and
sorted anew for each slot. Slow; for comparing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from controller.planner.assignment import Assignment, Choice, Moment
from controller.planner.boxes import Box, Slot, Waiting, by_age
from controller.planner.budgets import Budgets
from controller.planner.calendar import HOUR, Day, hour_of
from controller.planner.lanes import Lane
from controller.planner.limits import (
    OF_PROVIDER,
    UNLIMITED,
    Account,
    Limit,
    accounts_of_curves,
    accounts_of_sender,
    accounts_toward,
    tries_toward,
)
from controller.planner.slots import Pace, next_slot

_AGAIN = timedelta(minutes=5)
_AGAIN_PROVIDER = timedelta(minutes=1)
_SOON = timedelta(seconds=1)


class PlainChoosing:
    """`run(most)` gives what `choose` must give."""

    def __init__(
        self,
        boxes: Iterable[Box],
        messages: Iterable[Waiting],
        budgets: Budgets,
        moment: Moment,
        pace: Pace,
    ) -> None:
        self._boxes = {box.address: box for box in boxes}
        self._waiting = list(messages)
        self._budgets = budgets
        self._moment = moment
        self._pace = pace
        self._slots: dict[str, Slot] = {}
        self._heap: list[tuple[datetime, float, str]] = []
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
        for lane, heads in self._heads(box):
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
                if message.provider in self._budgets.curved:
                    toward += accounts_of_curves(box.sender, message.provider, day.date)
                account = spent or self._budgets.binding(toward)
            if account is None:
                return message, None, None
            stopped = stopped or account
        return None, stopped, later

    def _heads(self, box: Box) -> Iterator[tuple[Lane, list[Waiting]]]:
        for owner in (box.address, None):
            mine = [m for m in self._waiting if m.mailbox == owner]
            for lane in dict.fromkeys(m.lane for m in mine):
                if box.internal and not lane.is_internal:
                    continue
                if owner is not None or lane.admits(box.sender):
                    heads: dict[str, Waiting] = {}
                    for message in sorted((m for m in mine if m.lane is lane), key=by_age):
                        heads.setdefault(message.provider, message)
                    yield lane, list(heads.values())

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
        curved = message.provider in self._budgets.curved
        assignment = Assignment(message, box.sender, at, day.date, hour, curved)
        self._assignments.append(assignment)
        self._waiting.remove(message)
        for line in self._budgets.lines(assignment.accounts()):
            line.left -= 1
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
        self._slots[box.address] = self._slot(box)._replace(**changes)  # type: ignore[arg-type]
