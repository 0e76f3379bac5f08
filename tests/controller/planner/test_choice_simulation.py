"""Planning in virtual time: no interleaving passes a limit, breaks a pace or starves a message.

The ledger here is a plain counter, charged with what `choose` assigns, as the real one is. Between
rounds anything may happen: time passes or steps back, messages come, some that were never attempted
are taken back, mailboxes move to other egresses, slots are drawn anew.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from controller.planner.assignment import Assignment, Moment
from controller.planner.boxes import Box, Queues, Slot, Waiting
from controller.planner.budgets import Budgets
from controller.planner.calendar import HOUR
from controller.planner.choice import choose
from controller.planner.lanes import PLAIN, Lane
from controller.planner.limits import UNLIMITED, Account, Caps, Limit, Sender
from controller.planner.slots import Pace
from controller.planner.windows import Week
from inventory.schema import Limits
from tests.controller.planner.pacing_strategies import paces, weeks
from tests.controller.planner.plain_choice import PlainChoosing

# Berlin's clock changes on the second day, New York's a week later.
BEGIN = datetime(2026, 10, 24, 6, tzinfo=UTC)
HORIZON = timedelta(minutes=5)
MAILBOXES = 5
NAMES = ("mailbox_per_hour", "mailbox_per_day", "egress_per_hour", "egress_per_day",
         "domain_per_day", "domain_provider_per_day", "provider_egress_per_hour",
         "client_per_day")  # fmt: skip
# Warm-ups toward one of the two providers.
CURVES = (
    *((Limit.MAILBOX_PROVIDER_DAY, f"m{n}@d{n % 2}.test/google") for n in range(MAILBOXES)),
    *((Limit.EGRESS_PROVIDER_DAY, f"e{n}/google") for n in range(2)),
)
tight_or_wide = st.sampled_from([2, 5, 9, 1000, 1000, 1000])


@st.composite
def lanes(draw: st.DrawFn) -> Lane:
    """A campaign: some are closed most of the week, some have one mailbox, some a burst of two."""
    number = draw(st.integers(1, 3))
    return Lane(
        id=number,
        subject=f"acme/c{number}",
        priority=draw(st.sampled_from([0, 9, 100])),
        follow_up=draw(st.booleans()),
        week=draw(st.none() | weeks),
        domains=draw(st.none() | st.just(()) | st.just(("d0.test",))),
        mailboxes=("m1@d1.test",),
        # One of a campaign for all of its lanes.
        burst=(UNLIMITED, 2, 11)[number - 1],
    )


def bursts(lanes: list[Lane]) -> dict[tuple[Limit, str], int]:
    return {(Limit.CAMPAIGN_HOUR, lane.subject): lane.burst for lane in lanes}


class PlanningMachine(RuleBasedStateMachine):
    @initialize(
        week=st.just(Week(ZoneInfo("UTC"))) | weeks,
        pace=st.just(Pace(False, timedelta(0), 0)) | paces,
        limits=st.fixed_dictionaries(dict.fromkeys(NAMES, tight_or_wide)).map(
            lambda given: Limits(**given)
        ),
        lanes=st.lists(lanes(), max_size=3),
        curves=st.dictionaries(st.sampled_from(CURVES), st.integers(0, 3)),
    )
    def begin(
        self,
        week: Week,
        pace: Pace,
        limits: Limits,
        lanes: list[Lane],
        curves: dict[tuple[Limit, str], int],
    ) -> None:
        self.now = BEGIN
        self.pace = pace
        self.ledger: Counter[Account] = Counter()
        self.boxes = {
            f"m{n}@d{n % 2}.test": Box(
                Sender(f"m{n}@d{n % 2}.test", f"e{n % 2}", f"d{n % 2}.test", "acme"),
                "N", week, seed=n,
            )
            for n in range(MAILBOXES)
        }  # fmt: skip
        self.lanes = [PLAIN, *lanes]
        self.own = bursts(self.lanes) | curves
        curved = frozenset({"google"}) if curves else frozenset[str]()
        self.caps = Caps.of(limits, self.own, curved=curved)
        self.waiting: dict[str, Waiting] = {}
        self.charged: dict[str, Assignment] = {}
        self.sent_at: dict[str, list[datetime]] = {address: [] for address in self.boxes}
        self.serial = 0

    @rule(
        count=st.sampled_from([1, 12]),
        mailbox=st.none() | st.integers(0, MAILBOXES - 1),
        provider=st.sampled_from(["google", "yahoo"]),
        later=st.sampled_from([timedelta(0), timedelta(minutes=3), timedelta(hours=7)]),
        lane=st.integers(0, 3),
    )
    def submit(
        self, count: int, mailbox: int | None, provider: str, later: timedelta, lane: int
    ) -> None:
        name = None if mailbox is None else f"m{mailbox}@d{mailbox % 2}.test"
        for _ in range(count):
            self.serial += 1
            id = f"{self.serial:06}"
            chosen = self.lanes[lane % len(self.lanes)]
            self.waiting[id] = Waiting(id, name, provider, self.now + later, lane=chosen)
        self.plan(20)

    @rule(batch=st.sampled_from([1, 3, 20, 20]))
    def plan(self, batch: int) -> None:
        moment = Moment(self.now, self.now + HORIZON)
        due = [m for m in self.waiting.values() if m.not_before <= moment.until]
        boxes = [
            b for b in self.boxes.values() if b.slot.due_at is None or b.slot.due_at <= moment.until
        ]
        budgets = Budgets(self.caps, dict(self.ledger))
        choice = choose(boxes, Queues(due), budgets, moment, self.pace, batch)
        anew = Budgets(self.caps, dict(self.ledger))
        assert choice == PlainChoosing(boxes, due, anew, moment, self.pace).run(batch)
        assert budgets.taken() == anew.taken()
        assert len(choice.assignments) <= batch
        for each in choice.assignments:
            self._check_time(each, moment)
            self.ledger.update(each.accounts())
            self.charged[each.message.id] = each
            self.sent_at[each.sender.mailbox].append(each.at)
            del self.waiting[each.message.id]
        for address, slot in choice.slots.items():
            self._set_slot(address, slot)

    def _check_time(self, each: Assignment, moment: Moment) -> None:
        box = self.boxes[each.sender.mailbox]
        assert moment.now <= each.at <= moment.until
        assert each.at >= each.message.not_before
        assert box.week.is_open(each.at)
        lane = each.message.lane
        assert lane.next_open(each.at) == each.at
        assert each.message.mailbox is not None or lane.admits(box.sender)
        assert each.day == box.week.day_of(each.at).date
        assert each.hour <= each.at < each.hour + HOUR
        before = self.sent_at[box.address]
        assert not before or each.at >= before[-1] + self.pace.min_gap

    @rule(minutes=st.sampled_from([1, 4, 17, 61, 60 * 7, 60 * 24]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.plan(20)

    @rule(minutes=st.sampled_from([1, 61]))
    def the_clock_steps_back(self, minutes: int) -> None:
        self.now -= timedelta(minutes=minutes)

    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        """Never attempted: its allowance returns, and it waits again for its mailbox."""
        if not self.charged:
            return
        each = self.charged.pop(data.draw(st.sampled_from(sorted(self.charged))))
        self.ledger.subtract(each.accounts())
        message = each.message
        self.waiting[message.id] = Waiting(
            message.id, each.sender.mailbox, message.provider, each.at, lane=message.lane
        )

    @rule(number=st.integers(0, MAILBOXES - 1), egress=st.sampled_from(["e0", "e1"]))
    def move(self, number: int, egress: str) -> None:
        address = f"m{number}@d{number % 2}.test"
        box = self.boxes[address]
        sender = box.sender._replace(egress_id=egress)
        self.boxes[address] = Box(sender, box.display_name, box.week, box.seed, box.slot)

    @rule(
        egress=st.sampled_from(["e0", "e1"]),
        provider=st.sampled_from(["google", "yahoo"]),
        minutes=st.sampled_from([0, 2, 40]),
    )
    def a_receiver_stops_us(self, egress: str, provider: str, minutes: int) -> None:
        """What was charged already stays within what it admits afterwards."""
        pair = (Limit.PROVIDER_EGRESS_HOUR, f"{provider}/{egress}")
        used = max((n for a, n in self.ledger.items() if (a.limit, a.subject) == pair), default=0)
        changes = dict(self.caps.changes) | {pair: self.now + timedelta(minutes=minutes)}
        caps = dict(self.caps.special) | {pair: min(used, self.caps.usual[pair[0]])}
        self.caps = replace(self.caps, special=caps, changes=changes)
        self.plan(20)

    @rule()
    def receivers_relent(self) -> None:
        self.caps = replace(self.caps, special=self.own, changes={})
        self.plan(20)

    @rule(number=st.integers(0, MAILBOXES - 1))
    def draw_anew(self, number: int) -> None:
        address = f"m{number}@d{number % 2}.test"
        self._set_slot(address, Slot(None, self.boxes[address].slot.slot_at))

    def _set_slot(self, address: str, slot: Slot) -> None:
        box = self.boxes[address]
        self.boxes[address] = Box(box.sender, box.display_name, box.week, box.seed, slot)

    @invariant()
    def no_limit_is_exceeded(self) -> None:
        if not hasattr(self, "ledger"):
            return
        assert all(0 <= used <= self.caps.cap(account) for account, used in self.ledger.items())
        again = Counter(a for each in self.charged.values() for a in each.accounts())
        assert +self.ledger == again


TestPlanning = PlanningMachine.TestCase
TestPlanning.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_everything_goes_in_the_end_and_in_order_of_age() -> None:
    """No starvation: a flood to one provider, some for one mailbox, some for any, over days."""
    week = Week(ZoneInfo("America/New_York"))
    pace = Pace(True, timedelta(minutes=2), 0.3)
    limits = Limits(mailbox_per_day=10, provider_egress_per_hour=3)
    boxes = {
        f"m{n}@d.test": Box(Sender(f"m{n}@d.test", "e1", "d.test", "acme"), "N", week, seed=n)
        for n in range(4)
    }
    waiting = [Waiting(f"a{n:03}", None, "google", BEGIN) for n in range(150)]
    waiting += [Waiting(f"b{n:03}", "m0@d.test", "yahoo", BEGIN + HOUR) for n in range(10)]
    waiting += [Waiting(f"c{n:03}", None, "yahoo", BEGIN + 2 * HOUR) for n in range(10)]
    left = {m.id: m for m in waiting}
    ledger: Counter[Account] = Counter()
    gone: list[str] = []
    now = BEGIN
    while left and now < BEGIN + timedelta(days=9):
        moment = Moment(now, now + HORIZON)
        due = [b for b in boxes.values() if (b.slot.due_at or now) <= moment.until]
        messages = [m for m in left.values() if m.not_before <= moment.until]
        budgets = Budgets(Caps.of(limits), dict(ledger))
        choice = choose(due, Queues(messages), budgets, moment, pace, 500)
        for each in choice.assignments:
            ledger.update(each.accounts())
            gone.append(each.message.id)
            del left[each.message.id]
        for address, slot in choice.slots.items():
            old = boxes[address]
            boxes[address] = Box(old.sender, "N", week, old.seed, slot)
        now += timedelta(minutes=5)
    # 4 mailboxes with 10 a day: 170 messages in 4 days and a piece.
    assert not left
    assert now < BEGIN + timedelta(days=5, hours=6)
    for kind in "abc":
        mine = [id for id in gone if id[0] == kind]
        assert mine == sorted(mine)
