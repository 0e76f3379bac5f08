"""The scenario's campaigns: when their mail comes, to whom, and when they are through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from controller.planner.calendar import at_clock, hour_of
from controller.planner.lanes import Lane
from controller.planner.limits import UNLIMITED
from controller.simulation.fleet import VirtualFleet
from controller.simulation.mail import Letter
from controller.simulation.scenario import Campaign, Receiver, Scenario

Due = tuple[str, Letter, int]
"""Client, one of the messages, how many there are."""


@dataclass(slots=True)
class Course:
    """How far a campaign of one client is. `given`: recipients whose mail has come, by provider;
    `open`: those who may still get mail, also of the days to come. `lanes`: of its first messages
    and of its follow-ups."""

    number: int
    plan: Campaign
    client: str
    recipients: int
    open: int
    given: list[int]
    lanes: tuple[Lane, Lane]
    sent: int = 0
    bounced: int = 0
    expired: int = 0
    complaints: int = 0
    finished: date | None = None

    def is_through_with_one(self, today: date) -> None:
        """One recipient gets no more mail of it."""
        self.open -= 1
        if not self.open:
            self.finished = today


@dataclass
class Campaigns:
    """All of a scenario's. `mix`: providers of the recipients, in any unit."""

    scenario: Scenario
    fleet: VirtualFleet
    mix: Mapping[str, float]
    courses: list[Course] = field(default_factory=list)
    _later: dict[datetime, Counter[tuple[str, Letter]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for plan in self.scenario.campaigns:
            for client, count in _by_client(plan, self.fleet):
                if count:
                    given = [0] * len(self.mix)
                    number, lanes = len(self.courses), _lanes(plan, client)
                    course = Course(number, plan, client, count, count, given, lanes)
                    self.courses.append(course)

    def due(self, hour: datetime, day: int) -> Iterator[Due]:
        """What comes in this hour of that day of the scenario: first what comes for the first time
        (in the first hour of a local day), then follow-ups."""
        today = self.scenario.start + timedelta(days=day - 1)
        if hour == hour_of(at_clock(today, 0, self.fleet.zone)):
            for course in self.courses:
                yield from self._new(course, hour, day)
        for (client, letter), count in self._later.pop(hour, Counter()).items():
            yield client, letter, count

    def follow_up(self, course: Course, letter: Letter, mailbox: str, at: datetime) -> bool:
        """After a message was taken at `at`: the next one, if there is one."""
        if letter.step >= len(course.plan.follow_ups):
            return False
        hour = hour_of(at) + timedelta(days=course.plan.follow_ups[letter.step])
        step = letter.step + 1
        id = f"{course.number:04}/{step}/{letter.provider}"
        following = Letter(
            id, mailbox, letter.provider, hour, False, course.lanes[1], course.number, step
        )
        self._later.setdefault(hour, Counter())[course.client, following] += 1
        return True

    def _new(self, course: Course, hour: datetime, day: int) -> Iterator[Due]:
        number = day - course.plan.starts
        if not 0 <= number < course.plan.over_days:
            return
        count = shares([1] * course.plan.over_days, course.recipients)[number]
        counts = allot(course.given, list(self.mix.values()), count)
        for place, (provider, new) in enumerate(zip(self.mix, counts, strict=True)):
            course.given[place] += new
            if new:
                id = f"{course.number:04}/0/{provider}"
                letter = Letter(id, None, provider, hour, False, course.lanes[0], course.number)
                yield course.client, letter, new


def _lanes(plan: Campaign, client: str) -> tuple[Lane, Lane]:
    subject, burst = f"{client}/{plan.name}", plan.burst_per_hour or UNLIMITED
    first = Lane(subject=subject, priority=plan.priority, burst=burst)
    return first, replace(first, follow_up=True)


def mix_of(receivers: Mapping[str, Receiver]) -> dict[str, float]:
    """Providers that recipients have, with their shares."""
    return {name: each.share_percent for name, each in receivers.items() if each.share_percent}


def _by_client(plan: Campaign, fleet: VirtualFleet) -> list[tuple[str, int]]:
    if plan.client == "*":
        boxes = [len(fleet.boxes[client]) for client in fleet.clients]
        return list(zip(fleet.clients, shares(boxes, plan.recipients), strict=True))
    return [(client_of(plan.client, list(fleet.clients)), plan.recipients)]


def client_of(whose: str, clients: Sequence[str]) -> str:
    """The id of `#2` or of an id. Raises LookupError where there is none."""
    if whose.startswith("#"):
        return clients[int(whose[1:]) - 1]
    if whose not in clients:
        raise LookupError(whose)
    return whose


def shares(parts: Sequence[float], count: int) -> list[int]:
    """`count` in whole numbers in proportion to `parts`, which are not all 0; they add up."""
    whole, total, done = sum(parts), 0.0, 0
    given = []
    for part in parts:
        total += part
        upto = round(count * total / whole)
        given.append(upto - done)
        done = upto
    return given


def allot(given: Sequence[int], parts: Sequence[float], count: int) -> list[int]:
    """How `count` more are added to what was `given` so that all comes close to `parts`."""
    total, whole = sum(given) + count, sum(parts)
    lacking = [part * total / whole - had for part, had in zip(parts, given, strict=True)]
    positive = [max(0.0, each) for each in lacking]
    return shares(positive, count) if count else [0] * len(parts)
