"""What receivers recorded, counted by hours of the fleet's day. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lab.receivers.records import KEPT, Record

HOUR_S = 3600


@dataclass(frozen=True)
class Hour:
    """One provider in one hour: messages taken, and deferred or refused because of their number.

    `fullest`: the most that it took of one address in that hour.
    """

    taken: int
    refused: int
    fullest: int


@dataclass(frozen=True)
class Day:
    """`hours` by provider, each as long as the day; `limits`: messages of one address an hour."""

    hours: Mapping[str, tuple[Hour, ...]]
    limits: Mapping[str, int]
    egresses: int

    @property
    def length(self) -> int:
        """In hours."""
        return max((len(row) for row in self.hours.values()), default=0)

    def refusals(self, provider: str, first: int, after: int) -> float:
        """How often an address was refused in one of these hours, on average."""
        row = self.hours[provider][first:after]
        return sum(hour.refused for hour in row) / (len(row) * self.egresses) if row else 0.0

    def refused_share(self, provider: str, first: int, after: int) -> float:
        """Of all that was tried at a provider in these hours, how much was refused; 0 to 1."""
        row = self.hours[provider][first:after]
        tried = sum(hour.taken + hour.refused for hour in row)
        return sum(hour.refused for hour in row) / tried if tried else 0.0

    def used_share(self, provider: str, first: int, after: int) -> float:
        """How much of what the provider would have taken it got in these hours; 0 to 1."""
        row = self.hours[provider][first:after]
        most = self.limits[provider] * self.egresses * len(row)
        return sum(hour.taken for hour in row) / most if most else 0.0


def count(
    records: Iterable[Record],
    seen_at: Callable[[float], float],
    began: float,
    length: int,
    limits: Mapping[str, int],
    egresses: int,
) -> Day:
    """The day that began at `began` of the clock `seen_at`, and is `length` hours long.

    What was refused for other reasons than its number does not count.
    """
    taken: Counter[tuple[str, int]] = Counter()
    refused: Counter[tuple[str, int]] = Counter()
    of_address: Counter[tuple[str, int, str]] = Counter()
    providers = set(limits)
    for record in records:
        providers.add(record.provider)
        hour = int((seen_at(record.at) - began) // HOUR_S)
        if not 0 <= hour < length:
            continue
        if record.kind in KEPT:
            taken[record.provider, hour] += 1
            of_address[record.provider, hour, record.source] += 1
        elif record.why == "rate":
            refused[record.provider, hour] += 1
    fullest: dict[tuple[str, int], int] = {}
    for (provider, hour, _), number in of_address.items():
        fullest[provider, hour] = max(number, fullest.get((provider, hour), 0))
    return Day(
        {
            provider: tuple(
                Hour(
                    taken[provider, hour],
                    refused[provider, hour],
                    fullest.get((provider, hour), 0),
                )
                for hour in range(length)
            )
            for provider in sorted(providers)
        },
        limits,
        egresses,
    )
