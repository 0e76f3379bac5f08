"""How much may something warming send, and how does it go on? Pure.

A warm-up has a day of its curve. It goes on by one day, and only after a day on which mail was
really sent; so its allowance never jumps, neither after a pause nor at the end: past the curve it
grows by a tenth a day until it has reached the limit that then holds alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

# How far a bad signal throws it back: about what a week of good days had brought.
STEP_BACK_DAYS = 7
Curve = Sequence[tuple[int, int]]
"""(day, messages) in order, from day 1, never falling; as `inventory.warm_up` reads it."""


class Signal(StrEnum):
    """What health says of it. FREEZE stays where it is; BACK steps back, once."""

    NONE = ""
    FREEZE = "freeze"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Judged:
    """The day of the curve that holds from now on, whether the warm-up is over, and why."""

    day: int
    over: bool
    why: str


def allowance(curve: Curve, day: int) -> int:
    """Messages on this day of the warm-up, from 1: evenly between the points of the curve."""
    for (first, low), (last, high) in pairwise(curve):
        if day <= last:
            return low + (high - low) * (day - first) // (last - first)
    last, most = curve[-1]
    for _ in range(min(day - last, 1000)):
        most += max(1, most // 10)
    return most


def judge(curve: Curve, day: int, limit: int, *, sent: bool, signal: Signal) -> Judged:
    """After a local day has ended. `limit`: what holds once the warm-up is over."""
    if signal is Signal.BACK:
        return Judged(max(1, day - STEP_BACK_DAYS), False, "it steps back on a bad signal")
    if signal is Signal.FREEZE:
        return Judged(day, False, "it stays where it is as long as a bad signal stands")
    if not sent:
        return Judged(day, False, "nothing was sent since, so the day does not count")
    over = day >= curve[-1][0] and allowance(curve, day) >= limit
    if over:
        return Judged(day, True, "it sent through all of its curve and has reached its limit")
    return Judged(day + 1, False, "mail was sent, and nothing spoke against it")
