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
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from controller.planner.assignment import Assignment, Choice, Moment
from controller.planner.boxes import Box, Queues, Waiting
from controller.planner.budgets import Budgets, Line, binding
from controller.planner.calendar import HOUR, hour_of
from controller.planner.lanes import Lane
from controller.planner.limits import OF_PROVIDER, UNLIMITED
from controller.planner.seats import HourLines, Lines, Seat
from controller.planner.slots import Pace, slot_after

# When a mailbox that a limit holds is looked at again, should the limit not end or change before:
# somebody may have raised it, or an allowance may have been given back. One that a provider's limit
# holds may get mail to another provider, too.
_AGAIN = timedelta(minutes=5)
_AGAIN_PROVIDER = timedelta(minutes=1)
_SOON = timedelta(seconds=1)
_Turn = tuple[datetime, float, str]


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
        self._seats = {box.address: Seat(box) for box in boxes}
        self._queues = queues
        self._budgets, self._curved = budgets, budgets.curved
        self._lines = Lines(budgets)
        self._now, self._until = moment.now, moment.until
        self._pace = pace
        self._heap: list[_Turn] = []
        self._assignments: list[Assignment] = []

    def run(self, most: int) -> Choice:
        for seat in self._seats.values():
            self._put(seat, self._first_slot(seat))
        while self._heap and len(self._assignments) < most:
            at, _, address = heapq.heappop(self._heap)
            self._serve(self._seats[address], at)
        changed = {a: seat.slot() for a, seat in self._seats.items() if seat.is_changed}
        return Choice(tuple(self._assignments), changed)

    def _serve(self, seat: Seat, at: datetime) -> None:
        lines = self._lines.at(seat, at)
        message, stopped, later = self._best(seat.box, lines, at)
        if message is not None:
            self._assign(seat, lines, message, at)
        elif stopped is not None:
            self._hold(seat, lines, stopped, at)
        elif later is not None:
            opens = seat.box.week.next_open(later)
            if opens is not None and opens <= self._until:
                self._put(seat, opens)

    def _best(
        self, box: Box, lines: HourLines, at: datetime
    ) -> tuple[Waiting | None, Line | None, datetime | None]:
        """The message for this slot; where a limit stops all there are, that limit; where all come
        later, when the first one does.
        """
        spent = binding(lines.of_sender)
        stopped: Line | None = None
        ready, later = self._ready(box, lines, at)
        for message in ready:
            toward = lines.of(message)
            line = binding(toward) if message.charged else spent or binding(toward)
            if line is None:
                return message, None, None
            stopped = stopped or line
        return None, stopped, later

    def _ready(
        self, box: Box, lines: HourLines, at: datetime
    ) -> tuple[Sequence[Waiting], datetime | None]:
        """Messages that may go now, the best one first; and when the first of the others may."""
        found: list[tuple[Lane, Sequence[Waiting]]] = []
        later: datetime | None = None
        for lane, heads in self._queues.heads(box):
            opens = self._opens(lane, at)
            if opens is None:
                continue
            if opens <= at and heads[-1].not_before <= at:
                found.append((lane, heads))
                continue
            some = []
            for message in heads:
                begins = max(opens, message.not_before)
                if begins <= at:
                    some.append(message)
                elif later is None or begins < later:
                    later = begins
            if some:
                found.append((lane, some))
        if len(found) == 1:
            return found[0][1], later
        ranked = []
        for lane, ready in found:
            # The lower, the sooner: what its campaign used of the hour, for its weight.
            turn = (lines.of_lane(lane).used + 1) / lane.weight
            # Ids differ, so messages are never compared.
            ranked += [(not lane.follow_up, turn, m.not_before, m.id, m) for m in ready]
        return [each[-1] for each in sorted(ranked)], later

    def _opens(self, lane: Lane, at: datetime) -> datetime | None:
        """From when on its messages may go; None: not within the horizon, for all we know."""
        opens = at if lane.week is None else lane.next_open(at)
        if lane.burst >= UNLIMITED:
            return opens if opens is not None and opens <= self._until else None
        while opens is not None and opens <= self._until:
            hour = hour_of(opens)
            if self._budgets.line(lane.account(hour)).left > 0:
                return opens
            opens = lane.next_open(hour + HOUR)
        return None

    def _assign(self, seat: Seat, lines: HourLines, message: Waiting, at: datetime) -> None:
        provider, day, hour = message.provider, lines.date, lines.hour
        curved = bool(self._curved) and provider in self._curved
        self._assignments.append(Assignment(message, lines.sender, at, day, hour, curved))
        self._queues.remove(message)
        for line in lines.of(message):
            line.left -= 1
        if not message.charged:
            for line in lines.of_sender:
                line.left -= 1
            lines.of_lane(message.lane).left -= 1
        seat.slot_at, seat.is_changed = at, True
        if lines.mailbox_day.left <= 0:
            self._hold(seat, lines, lines.mailbox_day, at)
            return
        seat.held, seat.held_since, seat.held_until = "", None, None
        # A slot lies in a window.
        slot = self._next(seat.box, at, lines)
        seat.due_at = slot or self._until + _AGAIN
        if slot is not None and slot <= self._until:
            self._push(seat, slot)

    def _hold(self, seat: Seat, lines: HourLines, line: Line, at: datetime) -> None:
        """Notes what stops the mailbox; it goes on when that ends, and is looked at before."""
        account, now = line.account, self._now
        ends = lines.hour + HOUR if account.is_hour else self._next(seat.box, at, lines, left=0)
        words = self._budgets.words(account)
        look = now + (_AGAIN_PROVIDER if account.limit in OF_PROVIDER else _AGAIN)
        over = ends or lines.day.end
        changes = self._budgets.changes_at(account)
        if changes is not None:
            # Not ahead of it: until then nobody knows what it will be.
            look = min(look, max(changes, now + _SOON))
            over = min(over, max(changes, now + _SOON))
        since = seat.held_since if seat.held == words else now
        seat.held, seat.held_since, seat.held_until = words, since, over
        again = look + (self._until - now)
        self._wait_until(seat, again if ends is None else min(ends, again))

    def _wait_until(self, seat: Seat, due_at: datetime | None) -> None:
        if due_at is None:
            due_at = self._until + _AGAIN
        seat.due_at, seat.is_changed = due_at, True
        if due_at <= self._until:
            self._put(seat, due_at)

    def _put(self, seat: Seat, slot: datetime | None) -> None:
        box, until = seat.box, self._until
        at = box.week.next_open(max(slot or until + _AGAIN, self._now))
        if at is None or at > until:
            seat.due_at, seat.is_changed = at or until + _AGAIN, True
            return
        self._push(seat, at)

    def _push(self, seat: Seat, at: datetime) -> None:
        line, box = self._lines.at(seat, at).mailbox_day, seat.box
        share = (line.cap - line.left + 1) / max(1, line.cap) / box.health
        heapq.heappush(self._heap, (at, share, box.sender.mailbox))

    def _first_slot(self, seat: Seat) -> datetime | None:
        """A mailbox that never sent may begin; one whose slot is to be drawn counts on; one that a
        limit kept from its slot may use it as soon as there is room.
        """
        box, now = seat.box, self._now
        slot = box.slot
        if slot.held and slot.due_at is not None:
            return now if slot.slot_at is None else max(now, slot.slot_at + self._pace.min_gap)
        if slot.due_at is not None or slot.slot_at is None:
            return slot.due_at or now
        today = box.week.day_of(now)
        lines = self._lines.at(seat, now)
        return self._next(box, max(slot.slot_at, today.start), lines)

    def _next(
        self, box: Box, after: datetime, lines: HourLines, left: int | None = None
    ) -> datetime | None:
        """`lines`: the mailbox's on the day of `after`."""
        line = lines.mailbox_day
        if left is None:
            left = line.left if line.left > 0 else 0
        used = line.cap - line.left
        return slot_after(box.week, self._pace, lines.day, after, left, line.cap, used, box.seed)
