"""One attempt after another: dispatch's last look, the receiver's answer, and what follows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random

from controller.planner.choice import Assignment
from controller.planner.limits import Sender
from controller.simulation.campaigns import Campaigns, Course
from controller.simulation.counter import CapCounter
from controller.simulation.fleet import VirtualFleet
from controller.simulation.mail import Letter, Mail
from controller.simulation.receivers import Answer, ReceiverModel
from controller.simulation.responses import Responses
from controller.simulation.series import DayLine
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

    def __post_init__(self) -> None:
        self._deferred: deque[Deferred] = deque()

    @property
    def deferred(self) -> int:
        """Messages in Postfix's queues."""
        return len(self._deferred)

    def send(self, assignments: Iterable[Assignment], mail: Mail) -> list[Assignment]:
        """First attempts, in the order given. Gives those that dispatch held back: they wait again
        for their mailbox, and what they were charged is to be given back."""
        held = []
        responses, saw = self.responses, self.counter.saw
        for each in assignments:
            letter, sender, at = each.message, each.sender, each.at
            assert isinstance(letter, Letter)
            if responses.stops and not responses.may_go(letter.provider, sender, at):
                held.append(each)
                id = f"{letter.id}/held"
                mail.add(replace(letter, id=id, mailbox=sender.mailbox, not_before=at), 1)
                continue
            saw(sender.mailbox, letter.provider, letter.lane.subject, at)
            self._attempt(letter, sender, at, each.day, True)
        return held

    def try_again(self, hour: datetime) -> None:
        """What receivers put off before this hour."""
        for _ in range(len(self._deferred)):
            each = self._deferred.popleft()
            course = self.campaigns.courses[each.letter.campaign]
            if hour >= each.expires:
                course.expired += 1
                self.line.expired += 1
                course.is_through_with_one(self.line.date)
                continue
            self._attempt(each.letter, each.sender, hour, each.day, False, each)

    def _attempt(
        self,
        letter: Letter,
        sender: Sender,
        at: datetime,
        day: date,
        first: bool,
        deferred: Deferred | None = None,
    ) -> None:
        provider, course = letter.provider, self.campaigns.courses[letter.campaign]
        receiver = self.receivers[provider]
        # Who got one message exists.
        unknown = course.unknown if first and not letter.step else 0.0
        answer = receiver.answer(sender.egress_id, sender.domain, unknown)
        if answer is Answer.TAKEN:
            self.responses.taken(provider, sender, at)
            self._taken(letter, sender, at, day, course)
            return
        word = self.words.of(provider, answer)
        self.responses.refused(word, provider, sender, at, first)
        line = self.line
        if word.final:
            line.unknown += answer is Answer.UNKNOWN
            line.refused += answer is not Answer.UNKNOWN
            course.bounced += 1
            course.is_through_with_one(line.date)
            return
        line.put_off += 1
        again = deferred or Deferred(letter, sender, day, at + self.lifetime)
        self._deferred.append(again)

    def _taken(
        self, letter: Letter, sender: Sender, at: datetime, day: date, course: Course
    ) -> None:
        line, fleet = self.line, self.fleet
        line.sent[fleet.stage(sender)] += 1
        line.providers[letter.provider] += 1
        course.sent += 1
        if fleet.warming:
            fleet.note_sent(sender, day)
        draw, plan = self.chance.random(), course.plan
        complains = draw < plan.complaint_percent / 100
        if complains:
            line.complaints += 1
            course.complaints += 1
            self.receivers[letter.provider].complains(sender.egress_id, sender.domain)
        elif draw < 1 - plan.stop_percent / 100 and self.campaigns.follow_up(
            course, letter, sender.mailbox, at
        ):
            return
        course.is_through_with_one(line.date)
