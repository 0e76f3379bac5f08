"""A number from 0 to 100 that says how good a sender is, with its parts. Pure.

It begins with 100. Each signal takes points with its rate: none while that is as usual, a quarter
of its points at the threshold of watching, half at slowing, three quarters at pausing, all of them
at quarantine. What receivers put off takes a few, replies give a few back. It orders mailboxes for
the planner; verdicts are made of the bands, for those know how sure a rate is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from controller.health.counts import DEFERRED, REPLY, SENT, Counts, Window, total
from controller.health.rates import BLOCKS, BOUNCES, COMPLAINTS, Estimate, percent, thresholds
from inventory.health import Health, Thresholds

POINTS = {COMPLAINTS.name: 60.0, BLOCKS.name: 50.0, BOUNCES.name: 40.0}
DEFERRALS_POINTS = 10.0
REPLIES_POINTS = 5.0
# A reply to one message in twenty gives all points for replies.
_MANY_REPLIES = 0.05


@dataclass(frozen=True, slots=True)
class Part:
    """`points`: below 0 what it takes, above 0 what it gives."""

    name: str
    points: float
    because: Estimate | str

    @property
    def words(self) -> str:
        """Of what it is made."""
        return self.because if isinstance(self.because, str) else self.because.words()


@dataclass(frozen=True, slots=True)
class Score:
    """`value`: 0 to 100."""

    value: float
    parts: tuple[Part, ...]


def score(counts: Counts, estimates: Iterable[Estimate], health: Health) -> Score:
    """Of each signal the window and provider that take the most count."""
    worst: dict[str, tuple[float, Estimate]] = {}
    for each in estimates:
        taken = POINTS[each.signal.name] * severity(each.rate, thresholds(each.signal, health))
        if each.signal.name not in worst or taken > worst[each.signal.name][0]:
            worst[each.signal.name] = taken, each
    parts = [Part(name, -taken, each) for name, (taken, each) in worst.items()]
    parts += [_deferrals(counts), _replies(counts)]
    value = 100 + sum(part.points for part in parts)
    return Score(max(0.0, min(100.0, value)), tuple(parts))


def severity(rate: float, limits: Thresholds) -> float:
    """0 as long as a rate (0 to 1) is as usual, 1 from quarantine on; rises evenly in between."""
    points = [
        (limits.usual / 100, 0.0),
        (limits.watch / 100, 0.25),
        (limits.slowed / 100, 0.5),
        (limits.paused / 100, 0.75),
        (limits.quarantined / 100, 1.0),
    ]
    if rate <= points[0][0]:
        return 0.0
    for (low, before), (high, after) in pairwise(points):
        if rate <= high:
            return before + (after - before) * (rate - low) / (high - low)
    return 1.0


def _deferrals(counts: Counts) -> Part:
    tally = counts.get(Window.DAY, {})
    put_off = total(tally, DEFERRED)
    of = put_off + tally.get(SENT, 0)
    # As if 20 more had come through: few say little.
    share = put_off / (of + 20)
    return Part(
        "deferrals",
        -DEFERRALS_POINTS * share,
        f"{put_off:,} put off, {of - put_off:,} taken in {Window.DAY}",
    )


def _replies(counts: Counts) -> Part:
    tally = counts.get(Window.MONTH, {})
    replies = tally.get(REPLY, 0)
    sent = max(replies, tally.get(SENT, 0))
    share = replies / (sent + 100)
    return Part(
        "replies",
        REPLIES_POINTS * min(1.0, share / _MANY_REPLIES),
        f"{replies:,} replies to {sent:,} messages in {Window.MONTH}: {percent(share)}",
    )
