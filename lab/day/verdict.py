"""What must be true of the day, and whether it is. Pure.

A limit that nobody tells can be found only by meeting it, and one that was lifted since only by
trying again; so some refusals there must be. What is judged is how often an address meets one, and
whether it sends meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.day.series import Day

# The first hours belong to the search: from the shipped rule's rate down to what is taken.
LEARNING_HOURS = 3
# Refusals of one address in an hour: one that finds the limit, one that finds it still there.
MOST_REFUSALS = 2.0
LEAST_USED = 1 / 3


@dataclass(frozen=True)
class Finding:
    """How one provider's limit was kept: shares from 0 to 1, refusals of an address in an hour."""

    provider: str
    limit: int
    refusals_before: float
    refusals: float
    refused: float
    used: float

    @property
    def holds(self) -> bool:
        """Few refusals, and not because nothing was sent."""
        return self.refusals <= MOST_REFUSALS and self.used >= LEAST_USED


def findings(day: Day) -> Iterator[Finding]:
    """One for each provider with a limit."""
    for provider, limit in day.limits.items():
        yield Finding(
            provider,
            limit,
            day.refusals(provider, 0, LEARNING_HOURS),
            day.refusals(provider, LEARNING_HOURS, day.length),
            day.refused_share(provider, LEARNING_HOURS, day.length),
            day.used_share(provider, LEARNING_HOURS, day.length),
        )
