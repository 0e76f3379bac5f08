"""One attempt after another: dispatch's last look, the receiver's answer, and what follows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random

from controller.health.counts import COMPLAINT, EXPIRED, SENT
from controller.planner.assignment import Assignment
from controller.planner.limits import Sender
from controller.simulation.campaigns import Campaigns, Course
from controller.simulation.counter import CapCounter
from controller.simulation.fleet import VirtualFleet
from controller.simulation.mail import Letter, Mail
from controller.simulation.receivers import Answer, ReceiverModel
from controller.simulation.responses import Responses
from controller.simulation.series import DayLine
from controller.simulation.tallies import Tallies
from controller.simulation.words import Words

_RETRY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Deferred:
    """A message that stays in a node's Postfix queue; tried again once an hour until it expires."""

    letter: Letter
    sender: Sender
    day: date
    expires: datetime


@dataclass
class Delivery:
    """Attempts of one simulation. `line`: the day that things are counted for."""

    fleet: VirtualFleet
    receivers: Mapping[str, ReceiverModel]
    responses: Responses
    campaigns: Campaigns
    counter: CapCounter
    words: Words
    chance: Random
    line: DayLine
    lifetime: timedelta
    tallies: Tallies

    def __post_init__(self) -> None:
        self._deferred: deque[Deferred] = deque()
        self._draw = self.chance.random

    @property
    def deferred(self) -> int:
        """Messages in Postfix's queues."""
        return len(self._deferred)

    def send(self, assignments: Iterable[Assignment], mail: Mail) -> list[Assignment]:
        """First attempts, in the order given. Gives those that dispatch held back: they wait again
        for their mailbox, and what they were charged is to be given back."""
        held = []
        responses, saw = self.responses, self.counter.saw
        courses, receivers, taken = self.campaigns.courses, self.receivers, Answer.TAKEN
        for each in assignments:
            letter, sender, at, day, *_ = each
            assert isinstance(letter, Letter)
            if letter.lane.is_internal:
                saw(sender.mailbox, letter.provider, letter.lane.subject, at)
                self.line.warm_up += 1
                self.fleet.note_sent(sender, letter.provider, day)
                continue
            if responses.stops and not responses.may_go(letter.provider, sender, at):
                held.append(each)
                id = f"{letter.campaign:04}/{letter.step}/{letter.provider}/held"
                mail.add(replace(letter, id=id, mailbox=sender.mailbox, not_before=at), 1)
                continue
            provider, course = letter.provider, courses[letter.campaign]
            saw(sender.mailbox, provider, letter.lane.subject, at)
            # Who got one message exists.
            unknown = 0.0 if letter.step else course.plan.unknown_percent / 100
            answer = receivers[provider].answer(sender.egress_id, sender.domain, unknown)
            if answer is taken:
                self._taken(letter, sender, at, day, course)
            else:
                self._refused(answer, letter, sender, at, day, course)
        return held

    def try_again(self, hour: datetime) -> None:
        """What receivers put off before this hour."""
        for _ in range(len(self._deferred)):
            each = self._deferred.popleft()
            course = self.campaigns.courses[each.letter.campaign]
            if hour >= each.expires:
                course.expired += 1
                self.tallies.add(each.sender.mailbox, each.letter.provider, EXPIRED)
                self.line.expired += 1
                course.is_through_with_one(self.line.date)
                continue
            letter, sender = each.letter, each.sender
            receiver = self.receivers[letter.provider]
            answer = receiver.answer(sender.egress_id, sender.domain, 0.0)
            if answer is Answer.TAKEN:
                self._taken(letter, sender, hour, each.day, course)
            else:
                self._refused(answer, letter, sender, hour, each.day, course, each)

    def _refused(
        self,
        answer: Answer,
        letter: Letter,
        sender: Sender,
        at: datetime,
        day: date,
        course: Course,
        before: Deferred | None = None,
    ) -> None:
        """`before`: it was put off before."""
        word = self.words.of(letter.provider, answer)
        self.responses.refused(word, letter.provider, sender, at, before is None)
        line = self.line
        if word.final or before is None:
            self.tallies.add(sender.mailbox, letter.provider, word.kind)
        if word.final:
            line.unknown += answer is Answer.UNKNOWN
            line.refused += answer is not Answer.UNKNOWN
            course.bounced += 1
            course.is_through_with_one(line.date)
            return
        line.put_off += 1
        self._deferred.append(before or Deferred(letter, sender, day, at + self.lifetime))

    def _taken(
        self, letter: Letter, sender: Sender, at: datetime, day: date, course: Course
    ) -> None:
        line, fleet, plan = self.line, self.fleet, course.plan
        if self.responses.breakers:
            self.responses.taken(letter.provider, sender, at)
        if fleet.warming:
            line.sent[fleet.stage(sender)] += 1
            fleet.note_sent(sender, letter.provider, day)
        else:
            line.sent["active"] += 1
        line.providers[letter.provider] += 1
        self.tallies.add(sender.mailbox, letter.provider, SENT)
        course.sent += 1
        draw = self._draw()
        if draw < plan.complaint_percent / 100:
            line.complaints += 1
            course.complaints += 1
            self.tallies.add(sender.mailbox, letter.provider, COMPLAINT)
            self.receivers[letter.provider].complains(sender.egress_id, sender.domain)
        elif (
            letter.step < len(plan.follow_ups)
            and draw < 1 - plan.stop_percent / 100
            and self.campaigns.follow_up(course, letter, sender.mailbox, at)
        ):
            return
        course.is_through_with_one(line.date)
