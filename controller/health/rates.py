"""The rates that are judged, as estimates: what to expect, and how sure that is. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controller.health.beta import Beta
from controller.health.counts import (
    BLOCKED,
    COMPLAINT,
    SENT,
    Counts,
    Tally,
    Window,
    bounced,
    total,
)
from controller.replies import Scope
from inventory.health import Health, Thresholds

_INTERVAL = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class Signal:
    """A rate: `bad` kinds of all in `of`, over each of `windows`.

    `weight`: as many events as what is usual counts for. The rarer the event, the more it takes to
    believe that it is not chance.
    """

    name: str
    bad: frozenset[str]
    of: frozenset[str]
    windows: tuple[Window, ...]
    weight: float


COMPLAINTS = Signal(
    "complaints", frozenset({COMPLAINT}), frozenset({SENT}), (Window.WEEK, Window.MONTH), 1000
)
# Trouble of another kind stands in no denominator: the one must not dilute the other.
_GONE = frozenset({bounced(Scope.RECIPIENT)})
BOUNCES = Signal("bounces", _GONE, _GONE | {SENT}, (Window.DAY, Window.WEEK), 100)
BLOCKS = Signal("blocks", BLOCKED, BLOCKED | {SENT}, (Window.HOUR, Window.DAY), 50)
SIGNALS = (COMPLAINTS, BOUNCES, BLOCKS)


def thresholds(signal: Signal, health: Health) -> Thresholds:
    """Of the inventory."""
    return {
        COMPLAINTS.name: health.complaint_percent,
        BOUNCES.name: health.bounce_percent,
        BLOCKS.name: health.block_percent,
    }[signal.name]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A signal over one window, of one provider or ('') of all. Rates are shares, 0 to 1."""

    signal: Signal
    window: Window
    provider: str
    bad: int
    of: int
    beta: Beta

    @property
    def rate(self) -> float:
        """What to expect."""
        return self.beta.mean

    def interval(self) -> tuple[float, float]:
        """The true rate is between these with nine tenths of probability."""
        low, high = (self.beta.quantile(share) for share in _INTERVAL)
        return low, high

    def words(self) -> str:
        """For people."""
        low, high = self.interval()
        to = f" to {self.provider}" if self.provider else ""
        return (
            f"{self.bad:,} {self.signal.name} of {self.of:,}{to} in {self.window}: "
            f"{percent(self.rate)} ({percent(low)} to {percent(high)})"
        )


def estimate(
    signal: Signal, window: Window, tally: Tally, usual: float, provider: str = ""
) -> Estimate:
    """What a tally says. `usual`: the rate to expect before anything is known, 0 to 1."""
    bad = total(tally, signal.bad)
    # A complaint may be counted in a window in which its message is not any more.
    of = max(bad, total(tally, signal.of))
    return Estimate(
        signal, window, provider, bad, of, Beta.prior(usual, signal.weight).after(bad, of)
    )


def estimates(counts: Counts, health: Health, provider: str = "") -> Iterator[Estimate]:
    """Every signal over each of its windows."""
    for signal in SIGNALS:
        usual = thresholds(signal, health).usual / 100
        for window in signal.windows:
            yield estimate(signal, window, counts.get(window, {}), usual, provider)


def percent(rate: float) -> str:
    """With two digits that count."""
    return f"{100 * rate:.2g} %" if rate < 0.1 else f"{100 * rate:.0f} %"
