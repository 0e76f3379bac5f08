"""The loop over the hours: what comes, what the planner assigns, what becomes of it.

The planner looks an hour ahead at a time here (in a controller, `dispatch_horizon_s`); what a
receiver stops meanwhile, dispatch holds back as it does there.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from random import Random

from controller.planner.assignment import Moment
from controller.planner.boxes import Box
from controller.planner.budgets import Budgets
from controller.planner.calendar import HOUR, at_clock, hour_of
from controller.planner.choice import choose
from controller.planner.limits import Account, Caps, Limit
from controller.planner.slowed import slow
from controller.simulation.campaigns import Campaigns, mix_of
from controller.simulation.counter import CapCounter, WarmingFrom
from controller.simulation.delivery import Delivery
from controller.simulation.fleet import VirtualFleet
from controller.simulation.health import VirtualHealth
from controller.simulation.internal import WarmUpMail
from controller.simulation.mail import Mail
from controller.simulation.receivers import ReceiverModel
from controller.simulation.receivers_shipped import receivers_of
from controller.simulation.responses import Pause, Responses, Subject
from controller.simulation.scenario import Scenario
from controller.simulation.scenario_file import changes
from controller.simulation.series import DayLine, Foresight
from controller.simulation.words import Words
from inventory.cost import bill
from inventory.schema import Inventory

_TICK = timedelta(microseconds=1)
_ALL = 2**31
Progressed = Callable[[int], None]


def run(
    inventory: Inventory, scenario: Scenario, days: int, seed: int, progressed: Progressed
) -> Foresight:
    """The same arguments give the same result. `progressed` hears of each day that is over."""
    # Nothing in it refers to itself in a circle; to look for that is a tenth of all work.
    collects = gc.isenabled()
    gc.disable()
    try:
        return Simulation(inventory, scenario, days, seed).run(progressed)
    finally:
        if collects:
            gc.enable()


class Simulation:
    """One run."""

    def __init__(self, inventory: Inventory, scenario: Scenario, days: int, seed: int) -> None:
        self._scenario, self._seed = scenario, seed
        self._inventory = inventory
        self._fleet = VirtualFleet(inventory, scenario, seed)
        # Of these clients: others may be reckoned in another run.
        key = "/".join([str(seed), "receivers", *self._fleet.clients])
        chance = Random(key)  # noqa: S311 chance, not secrecy
        receivers = receivers_of(scenario)
        self._receivers = {name: ReceiverModel(name, receivers[name], chance) for name in receivers}
        for egress in inventory.egresses:
            for receiver in self._receivers.values():
                receiver.meets(egress.id, ("egress", egress.id, "") in self._fleet.warming)
        self._campaigns = Campaigns(scenario, self._fleet, mix_of(receivers))
        self._mail = {client: Mail() for client in self._fleet.clients}
        self._warm_up_mail = WarmUpMail(self._fleet)
        self._used: dict[Account, int] = {}
        self._responses = Responses(self._paused, self._released)
        self._pauses: list[Pause] = []
        self._lines = [
            DayLine(number, scenario.start + timedelta(days=number - 1))
            for number in range(1, days + 1)
        ]
        settings = self._fleet.settings
        self._health = VirtualHealth(
            self._fleet,
            inventory.fleet.health,
            self._responses.stop_for_health,
            self._responses.return_to_health,
        )
        self._counter = CapCounter(
            inventory,
            settings.limits,
            {each: tuple(settings.curve(*each)) for each in settings.warm_ups},
            [
                WarmingFrom(w.scope, w.subject, w.provider, w.day)
                for w in self._fleet.warming.values()
            ],
            {
                f"{course.client}/{course.plan.name}": course.plan.burst_per_hour
                for course in self._campaigns.courses
                if course.plan.burst_per_hour is not None
            },
        )
        self._delivery = Delivery(
            self._fleet, self._receivers, self._responses, self._campaigns, self._counter,
            Words(), chance, self._lines[0],
            timedelta(seconds=inventory.fleet.mail.queue_lifetime_s), self._health.tallies,
        )  # fmt: skip

    def run(self, progressed: Progressed) -> Foresight:
        """All days."""
        for line in self._lines:
            self._delivery.line = line
            self._happens(line.number)
            self._morning(line.date)
            for hour in self._hours(line.date):
                self._hour(hour, line)
            self._day_is_over(line)
            progressed(line.number)
        self._counter.close()
        counter = self._counter
        return Foresight(
            self._scenario.name, self._seed, self._fleet.mailboxes, self._lines, self._pauses,
            self._campaigns.courses, counter.total, list(counter.violations.values()),
            bill(self._inventory).monthly_eur,
        )  # fmt: skip

    def _happens(self, day: int) -> None:
        """The scenario's events of a day."""
        for event in self._scenario.events:
            if event.day != day:
                continue
            if event.provider is not None:
                self._receivers[event.provider].changes(changes(event))
            for course in self._campaigns.courses:
                if course.plan.name == event.campaign:
                    course.plan = course.plan.model_copy(update=changes(event))

    def _morning(self, day: date) -> None:
        """Health judges the day before; the warm-up mail of this one comes."""
        morning = hour_of(at_clock(day, 0, self._fleet.zone))
        self._health.judge(morning)
        self._fleet.judge(morning)
        for client, letter, count in self._warm_up_mail.due(morning):
            self._mail[client].add(letter, count)

    def _hours(self, day: date) -> Iterator[datetime]:
        zone = self._fleet.zone
        hour = hour_of(at_clock(day, 0, zone))
        end = hour_of(at_clock(day + timedelta(days=1), 0, zone))
        while hour < end:
            yield hour
            hour += HOUR

    def _hour(self, hour: datetime, line: DayLine) -> None:
        self._fleet.judge(hour)
        self._responses.recover(hour, self._fleet.settings.limits.egress_per_day)
        for receiver in self._receivers.values():
            receiver.hour_begins()
        for client, letter, count in self._campaigns.due(hour, line.number):
            self._mail[client].add(letter, count)
        self._delivery.try_again(hour)
        # Clients share nothing that a cap is about, so that none changes another's.
        caps: Caps | None = None
        for client, mail in self._mail.items():
            if mail.waiting:
                caps = caps or self._caps(hour)
                self._plan(client, mail, hour, caps)

    def _plan(self, client: str, mail: Mail, hour: datetime, caps: Caps) -> None:
        moment = Moment(hour, hour + HOUR - _TICK)
        settings = self._fleet.settings
        budgets = Budgets(caps, self._used)
        boxes = self._due(client, mail, moment)
        choice = choose(boxes, mail, budgets, moment, settings.pace, _ALL)
        for account, count in budgets.taken().items():
            self._used[account] = self._used.get(account, 0) + count
        self._fleet.keep_slots(client, choice.slots)
        for held in self._delivery.send(choice.assignments, mail):
            for account in held.accounts():
                self._used[account] -= 1

    def _due(self, client: str, mail: Mail, moment: Moment) -> list[Box]:
        """Mailboxes whose slots are due, for which something waits, and which nothing stops."""
        boxes = self._fleet.boxes[client]
        some = boxes.values() if mail.is_for_any else (boxes[each] for each in mail.owners())
        stopped = self._responses.is_stopped if self._responses.stops else None
        return [
            box
            for box in some
            if (box.slot.due_at is None or box.slot.due_at <= moment.until)
            and (stopped is None or not stopped(box.sender, moment.now))
        ]

    def _caps(self, hour: datetime) -> Caps:
        limits = self._fleet.settings.limits
        special, changes = self._responses.caps(hour, limits.provider_egress_per_hour)
        special |= self._fleet.warm_up_caps()
        for client in self._inventory.clients:
            if client.per_day is not None:
                special[Limit.CLIENT_DAY, client.id] = client.per_day
        for course in self._campaigns.courses:
            if course.plan.burst_per_hour is not None:
                special[Limit.CAMPAIGN_HOUR, course.lanes[0].subject] = course.lanes[0].burst
        for scope, subject in self._health.slowed:
            slow(special, limits, scope, subject, self._fleet.settings.slowed_to_percent)
        return Caps.of(limits, special, changes, self._fleet.settings.curved)

    def _day_is_over(self, line: DayLine) -> None:
        for receiver in self._receivers.values():
            receiver.day_is_over()
        for client, mail in self._mail.items():
            mail.drop(self._warm_up_mail.lane(client))
        line.waiting = sum(mail.waiting for mail in self._mail.values()) + self._delivery.deferred
        for boxes in self._fleet.boxes.values():
            for box in boxes.values():
                line.boxes[self._fleet.stage(box.sender)] += 1
        yesterday = line.date - timedelta(days=1)
        self._used = {a: n for a, n in self._used.items() if _day(a) >= yesterday}

    def _paused(self, pause: Pause) -> None:
        self._counter.stopped(pause.scope, pause.subject, pause.until)
        if pause.begins:
            self._pauses.append(pause)
            self._delivery.line.pauses += 1

    def _released(self, subject: Subject, until: datetime) -> None:
        self._counter.stopped(*subject, until)


def _day(account: Account) -> date:
    bucket = account.bucket
    return bucket.date() if isinstance(bucket, datetime) else bucket
