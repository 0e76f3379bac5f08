"""What is remembered of a simulation: a line for each day, pauses, campaigns, cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

from controller.simulation.campaigns import Course
from controller.simulation.counter import Violation
from controller.simulation.responses import Pause

STAGES = ("internal", "warming", "active")
"""Of a mailbox: on the internal days of a warm-up, further in one, in none."""


@dataclass(slots=True)
class DayLine:
    """One day, by the fleet's clock.

    `warm_up`: warm-up mail that went within the fleet, which is in no other figure. `sent`: taken
    by receivers, by stage of the mailbox; `put_off` and `refused`: attempts; `pauses`: stops that
    began; `boxes`: mailboxes by stage, and those `stopped` as the day ends; `waiting`: messages
    that have come and not gone.
    """

    number: int
    date: date
    sent: Counter[str] = field(default_factory=Counter)
    providers: Counter[str] = field(default_factory=Counter)
    warm_up: int = 0
    put_off: int = 0
    refused: int = 0
    unknown: int = 0
    expired: int = 0
    complaints: int = 0
    pauses: int = 0
    boxes: Counter[str] = field(default_factory=Counter)
    waiting: int = 0

    @property
    def total(self) -> int:
        """Messages taken by receivers."""
        return self.sent.total()


@dataclass(slots=True)
class Foresight:
    """The whole result."""

    scenario: str
    seed: int
    mailboxes: int
    days: list[DayLine]
    pauses: list[Pause]
    campaigns: list[Course]
    cap_violations: int
    violations: list[Violation]
    monthly_eur: float

    @property
    def delivered(self) -> int:
        """Messages taken by receivers, over all days."""
        return sum(day.total for day in self.days)

    @property
    def per_message_eur(self) -> float | None:
        """What one delivered message costs; None where none was. A month has 30 days."""
        cost = self.monthly_eur * len(self.days) / 30
        return cost / self.delivered if self.delivered else None
