"""Bands, and how one becomes another. Pure.

Worse at once: on sufficient evidence. Better by steps: not before the band has held for a while,
and only when the evidence is clearly below its threshold. So nothing flaps while a rate is near
one. What was paused or quarantined comes back when its time is over, watched, from the bottom of a
warm-up, and is judged by what it sends from then on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum

from controller.health.rates import Estimate, thresholds
from inventory.health import Health

# A band is kept while the rate is as probably as not above this share of its threshold.
_KEEP_SHARE = 0.7
_KEEP_CONFIDENCE = 0.5
_RELAPSE = timedelta(days=60)
_LONGEST_PAUSE = timedelta(days=30)
_LONGEST_QUARANTINE = timedelta(days=60)


class Band(IntEnum):
    """From best to worst."""

    GOOD = 0
    WATCH = 1
    SLOWED = 2
    PAUSED = 3
    QUARANTINED = 4

    def __str__(self) -> str:
        return self.name.lower()

    @property
    def sends(self) -> bool:
        return self < Band.PAUSED


@dataclass(frozen=True, slots=True)
class Standing:
    """`until`: when a pause or quarantine is over. `stops`: how many there were since `stopped_at`
    was more than 60 days after the one before. `counted_from`: what was before does not count."""

    band: Band
    since: datetime
    until: datetime | None = None
    stops: int = 0
    stopped_at: datetime | None = None
    counted_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Calls:
    """What the evidence calls for: `reached` is entered now; `holds` is at least kept.

    `holds` is never below `reached`. `because`: what speaks for the worst of it.
    """

    reached: Band
    holds: Band
    because: tuple[Estimate | str, ...] = ()

    def worse(self, other: Calls) -> Calls:
        """Both together."""
        first, second = sorted((self, other), key=lambda c: (c.reached, c.holds), reverse=True)
        same = (first.reached, first.holds) == (second.reached, second.holds)
        because = self.because + other.because if same else first.because
        return Calls(first.reached, max(first.holds, second.holds), because)

    def words(self) -> str:
        """What speaks for it, the first three."""
        told = [one if isinstance(one, str) else one.words() for one in self.because[:3]]
        return "; ".join(told)

    def at_most(self, band: Band) -> Calls:
        """The same evidence, where by itself it may lead no further than this."""
        return replace(self, reached=min(self.reached, band), holds=min(self.holds, band))


NOTHING = Calls(Band.GOOD, Band.GOOD)


def called_for(estimates: Iterable[Estimate], health: Health) -> Calls:
    """The worst that any of these calls for."""
    calls = NOTHING
    for each in estimates:
        calls = calls.worse(_of_one(each, health))
    return calls


def _of_one(each: Estimate, health: Health) -> Calls:
    if not each.bad:
        return NOTHING
    limits, sure = thresholds(each.signal, health), health.confidence_percent / 100
    reached = holds = Band.GOOD
    enough = each.of >= health.min_messages
    for band in (Band.WATCH, Band.SLOWED, Band.PAUSED, Band.QUARANTINED):
        limit = getattr(limits, str(band)) / 100
        if enough and each.beta.is_above(limit, sure):
            reached = band
        if reached == band or each.beta.is_above(_KEEP_SHARE * limit, _KEEP_CONFIDENCE):
            holds = band
        else:
            # Thresholds rise.
            break
    return Calls(reached, holds, (each,) if holds else ())


def next_standing(
    now: datetime, was: Standing, calls: Calls, lasting: Calls, health: Health
) -> Standing:
    """What it is from now on; the same object where nothing changes.

    `lasting`: the part of `calls` that stands as long as its cause does (a listing), while what was
    counted is of the past when a stop is over.
    """
    if calls.reached > was.band:
        return _worse(now, was, calls.reached, health)
    if not was.band.sends:
        over = was.until is not None and now >= was.until and lasting.reached.sends
        return requalified(now, was) if over else was
    if calls.holds >= was.band or now - was.since < timedelta(hours=health.hold_h):
        return was
    return replace(was, band=Band(was.band - 1), since=now)


def _worse(now: datetime, was: Standing, band: Band, health: Health) -> Standing:
    if band.sends:
        return replace(was, band=band, since=now)
    again = was.stopped_at is not None and now - was.stopped_at < _RELAPSE
    stops = was.stops if again else 0
    # Further into a stop that is under way: it is the same trouble, not another relapse.
    before = stops - 1 if not was.band.sends and stops else stops
    if band is Band.QUARANTINED:
        usual, longest = timedelta(days=health.quarantine_days), _LONGEST_QUARANTINE
    else:
        usual, longest = timedelta(days=health.pause_days), _LONGEST_PAUSE
    length = max(usual, min(longest, usual * 2 ** min(before, 10)))
    until = max(now + length, was.until or now)
    return Standing(band, now, until, before + 1, now, was.counted_from)


def requalified(now: datetime, was: Standing) -> Standing:
    """Back, at the bottom: watched, and judged by what it sends from now on."""
    return replace(was, band=Band.WATCH, since=now, until=None, counted_from=now)
