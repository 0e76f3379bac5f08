"""The model of receivers: what they take, put off and refuse, and what they come to think of us.

Invented, not measured: no receiver tells its rules. What is modelled is what their documentation
says they look at: volume by address, growing with good history; complaints and dead addresses by
domain and address. A receiver

- takes so many messages an hour from an egress as it trusts it with, and puts the rest off;
- trusts an egress a little more after each day on which it had nothing against it;
- thinks less of a domain and an egress as complaints and dead addresses pass its limits, takes less
  then, and refuses a part of a badly thought-of domain's mail outright;
- forgets slowly: what happened weighs half after some ten days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import log10
from random import Random
from typing import Any

from controller.simulation.scenario import Receiver

_KEPT_A_DAY = 0.93
# So many good messages are assumed before the first one: one complaint is no verdict.
_BENEFIT_OF_DOUBT = 500
_BLOCKS_BELOW = 0.5
_LEAST_PER_HOUR = 1.0


class Answer(Enum):
    """What a receiver says to one attempt."""

    TAKEN = "taken"
    # No such address (5.1.1).
    UNKNOWN = "unknown"
    # Later, for no reason of ours.
    BUSY = "busy"
    # Later: more than it wants from this egress now.
    LIMITED = "limited"
    # No: it thinks badly of this domain.
    BLOCKED = "blocked"


@dataclass(slots=True)
class _Repute:
    """What a receiver remembers of a domain or an egress; `value` from 0 (worst) to 1."""

    taken: float = 0
    complaints: float = 0
    unknown: float = 0
    value: float = 1.0

    def day_is_over(self, receiver: Receiver) -> None:
        seen = self.taken + self.unknown + _BENEFIT_OF_DOUBT
        complained = 100 * self.complaints / seen / receiver.complaint_limit_percent
        dead = 100 * self.unknown / seen / receiver.unknown_limit_percent
        worst = max(complained, dead)
        self.value = 1.0 if worst <= 1 else max(0.0, 1 - log10(worst))
        self.taken *= _KEPT_A_DAY
        self.complaints *= _KEPT_A_DAY
        self.unknown *= _KEPT_A_DAY


@dataclass(slots=True)
class _Exit:
    """An egress in a receiver's eyes. `per_hour`: what it trusts it with; `tries`, of this hour."""

    per_hour: float
    tries: int = 0
    takes: int = 0
    took_today: bool = False
    repute: _Repute = field(default_factory=_Repute)


class ReceiverModel:
    """One provider over time. Draws chance from `chance` alone."""

    def __init__(self, name: str, receiver: Receiver, chance: Random) -> None:
        self.name = name
        self.receiver = receiver
        self._draw = chance.random
        self._exits: dict[str, _Exit] = {}
        self._domains: dict[str, _Repute] = {}

    def meets(self, egress_id: str, is_new: bool) -> None:
        """An egress that it may get mail from; `is_new`: it never heard of it."""
        receiver = self.receiver
        start = receiver.new_egress_hour if is_new else receiver.per_egress_hour
        self._exits[egress_id] = _Exit(min(start, receiver.per_egress_hour))

    def hour_begins(self) -> None:
        """What was tried in the last hour does not count any more."""
        for each in self._exits.values():
            each.tries = 0
            each.takes = int(max(_LEAST_PER_HOUR, each.per_hour * each.repute.value))

    def answer(self, egress_id: str, domain: str, unknown: float) -> Answer:
        """To one attempt; `unknown`: how probable it is that the address does not exist."""
        exit_ = self._exits[egress_id]
        exit_.tries += 1
        if exit_.tries > exit_.takes:
            return Answer.LIMITED
        repute = self._domains.get(domain)
        if repute is None:
            repute = self._domains[domain] = _Repute()
        draw = self._draw()
        if repute.value < _BLOCKS_BELOW:
            refused = 1 - repute.value / _BLOCKS_BELOW
            if draw < refused:
                return Answer.BLOCKED
            draw = self._draw()
        if draw < unknown:
            repute.unknown += 1
            exit_.repute.unknown += 1
            return Answer.UNKNOWN
        if draw > 1 - self.receiver.busy_percent / 100:
            return Answer.BUSY
        repute.taken += 1
        exit_.repute.taken += 1
        exit_.took_today = True
        return Answer.TAKEN

    def complains(self, egress_id: str, domain: str) -> None:
        """A recipient called a message spam that was taken."""
        self._domains[domain].complaints += 1
        self._exits[egress_id].repute.complaints += 1

    def day_is_over(self) -> None:
        """Thinks about what happened today."""
        growth, most = 1 + self.receiver.growth_percent / 100, self.receiver.per_egress_hour
        for repute in self._domains.values():
            repute.day_is_over(self.receiver)
        for each in self._exits.values():
            each.repute.day_is_over(self.receiver)
            if each.took_today and each.repute.value == 1:
                each.per_hour *= growth
            each.per_hour = min(each.per_hour, most)
            each.took_today = False

    def changes(self, to: Mapping[str, Any]) -> None:
        """Other rules from now on, by field; it takes less at once, more in its own time."""
        self.receiver = receiver = self.receiver.model_copy(update=to)
        for each in self._exits.values():
            each.per_hour = min(each.per_hour, receiver.per_egress_hour)
