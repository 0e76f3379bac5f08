"""Goes on from a situation hour by hour until the campaign is through. Pure.

Every message is taken to arrive and nobody to answer, so all follow-ups go; no other mail comes.
What receivers slowed is free again when the first of their steps is over. So a campaign takes
longer than foreseen where receivers refuse, and ends sooner where recipients answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from controller.forecast.causes import cause
from controller.forecast.situation import Heap, Plan, Sending, Situation, Warming
from controller.planner.assignment import Assignment, Moment
from controller.planner.boxes import Box
from controller.planner.budgets import Budgets
from controller.planner.calendar import HOUR, hour_of
from controller.planner.choice import choose
from controller.planner.lanes import Lane, plain_lane
from controller.planner.limits import Account, Caps
from controller.planner.warm_up import Signal, judge
from controller.planner.warm_up_caps import warm_up_account, warm_up_cap
from controller.simulation.mail import Letter, Mail

_TICK = timedelta(microseconds=1)
_ALL = 2**31
# Windows are those of a week, and warm-ups begin with two weeks without such mail.
_STUCK = timedelta(days=30)


@dataclass(slots=True)
class Forecast:
    """`days`: messages of the campaign by local day and step; `finished`: a step's last one.

    `causes`: hours in which mail waited, by what kept it. `left`: what was not sent by `until`.
    """

    days: Counter[tuple[date, int]] = field(default_factory=Counter)
    finished: dict[int, datetime] = field(default_factory=dict)
    causes: Counter[str] = field(default_factory=Counter)
    left: int = 0
    until: datetime | None = None


def foresee(of: Situation, most_days: int) -> Forecast:
    """Until the campaign is through, at most so many days."""
    return _Run(of).run(of.now + timedelta(days=most_days))


class _Run:
    def __init__(self, of: Situation) -> None:
        self._of = of
        self._boxes = {each.box.address: each for each in of.mailboxes}
        self._used = dict(of.used)
        self._warming = {(each.scope, each.subject, each.provider): each for each in of.warming}
        self._judged = {key: _today(of.now, each) for key, each in self._warming.items()}
        self._sent: set[tuple[str, str, str]] = set()
        self._mail = Mail()
        self._plain = plain_lane(of.client_id)
        self._names = ["", *of.plans]
        self._later: dict[datetime, Counter[Heap]] = {}
        self._left = 0
        # When something last came or went.
        self._moved = of.now
        self._forecast = Forecast()
        for heap in of.heaps:
            self._comes(heap)

    def run(self, until: datetime) -> Forecast:
        """See `foresee`."""
        now = self._of.now
        while self._left and now < until and (self._later or now - self._moved < _STUCK):
            end = hour_of(now) + HOUR
            self._bring(now, end)
            self._judge_warm_ups(now)
            if self._mail.waiting:
                self._plan(Moment(now, end - _TICK))
                now = end
            else:
                now = max(end, min(self._later, default=until))
        self._forecast.left, self._forecast.until = self._left, now
        return self._forecast

    def _comes(self, heap: Heap) -> None:
        self._later.setdefault(hour_of(max(heap.at, self._of.now)), Counter())[heap] += heap.count
        if heap.campaign == self._of.campaign:
            self._left += heap.count

    def _bring(self, now: datetime, end: datetime) -> None:
        """What comes in this hour, in order."""
        for hour in sorted(each for each in self._later if each < end):
            heaps = self._later.pop(hour)
            for heap, count in sorted(heaps.items(), key=lambda each: max(each[0].at, now)):
                number = self._names.index(heap.campaign)
                letter = Letter(
                    f"{number:04}/{heap.step}/{heap.provider}/{heap.mailbox or ''}",
                    heap.mailbox, heap.provider, max(heap.at, now), heap.charged,
                    self._lane(heap), number, heap.step,
                )  # fmt: skip
                self._mail.add(letter, count)
                self._moved = now

    def _lane(self, heap: Heap) -> Lane:
        plan = self._of.plans.get(heap.campaign)
        if plan is None:
            return self._plain
        return (plan.follow_up if heap.step else plan.first)[heap.zone]

    def _plan(self, moment: Moment) -> None:
        of = self._of
        caps = self._caps(moment.now)
        budgets = Budgets(caps, self._used)
        boxes = list(self._able(moment.until))
        choice = choose(boxes, self._mail, budgets, moment, of.settings.pace, _ALL)
        for account, count in budgets.taken().items():
            self._used[account] = self._used.get(account, 0) + count
        for address, slot in choice.slots.items():
            known = self._boxes[address]
            self._boxes[address] = Sending(known.box._replace(slot=slot), known.since)
        for each in choice.assignments:
            self._assigned(each)
            self._moved = moment.now
        waiting = self._mail.lanes_waiting(self._names.index(of.campaign))
        if waiting:
            after = [self._boxes[box.address].box for box in boxes]
            self._forecast.causes[cause(waiting, after, budgets, moment)] += 1
        yesterday = (moment.now - timedelta(days=2)).date()
        self._used = {a: n for a, n in self._used.items() if _day(a) >= yesterday}

    def _assigned(self, each: Assignment) -> None:
        letter = each.message
        assert isinstance(letter, Letter)
        for provider in ("", letter.provider):
            self._sent.add(("mailbox", each.sender.mailbox, provider))
            self._sent.add(("egress", each.sender.egress_id, provider))
        name = self._names[letter.campaign]
        if name == self._of.campaign:
            self._left -= 1
            day = each.at.astimezone(self._of.zone).date()
            self._forecast.days[day, letter.step] += 1
            last = self._forecast.finished.get(letter.step, each.at)
            self._forecast.finished[letter.step] = max(last, each.at)
        plan = self._of.plans.get(name)
        if plan is not None and letter.step < len(plan.delays_days):
            self._comes(_following(plan, letter, name, each))

    def _able(self, until: datetime) -> Iterator[Box]:
        for each in self._boxes.values():
            if each.since is not None and each.since <= until:
                yield each.box

    def _caps(self, now: datetime) -> Caps:
        of = self._of
        special = {
            key: cap
            for key, cap in of.caps.special.items()
            if key not in of.caps.changes or of.caps.changes[key] > now
        }
        for each in self._warming.values():
            account = warm_up_account(each.scope, each.subject, each.provider)
            special[account] = warm_up_cap(of.settings, each.scope, each.provider, each.day)
        return replace(of.caps, special=special)

    def _judge_warm_ups(self, now: datetime) -> None:
        """A local day is over: on where mail went, as in controller.loops.warming."""
        for key, each in list(self._warming.items()):
            today = _today(now, each)
            if today <= self._judged[key]:
                continue
            self._judged[key] = today
            settings = self._of.settings
            # On its internal days it has mail of its own; to whom is not foreseen.
            internal = not each.provider and each.day <= settings.warm_up.internal_days
            judged = judge(
                settings.curve(each.scope, each.provider), each.day,
                settings.day_limit(each.scope), sent=internal or key in self._sent,
                signal=Signal.NONE,
            )  # fmt: skip
            self._sent.discard(key)
            if judged.over:
                del self._warming[key]
            else:
                self._warming[key] = replace(each, day=judged.day)
        for address, sending in list(self._boxes.items()):
            if sending.box.internal and not self._is_internal(sending.box):
                self._boxes[address] = Sending(sending.box._replace(internal=False), sending.since)

    def _is_internal(self, box: Box) -> bool:
        keys = ("mailbox", box.address, ""), ("egress", box.sender.egress_id, "")
        days = [self._warming[key].day for key in keys if key in self._warming]
        return bool(days) and min(days) <= self._of.settings.warm_up.internal_days


def _following(plan: Plan, letter: Letter, name: str, each: Assignment) -> Heap:
    lanes = plan.follow_up if letter.step else plan.first
    zone = next(zone for zone, lane in lanes.items() if lane is letter.lane)
    at = hour_of(each.at + timedelta(days=plan.delays_days[letter.step]))
    return Heap(name, letter.step + 1, zone, letter.provider, each.sender.mailbox, at, 1)


def _today(now: datetime, each: Warming) -> date:
    return now.astimezone(each.zone).date()


def _day(account: Account) -> date:
    bucket = account.bucket
    return bucket.date() if isinstance(bucket, datetime) else bucket
