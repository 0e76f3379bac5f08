"""How much of what a mailbox may send is warm-up mail? Pure.

Of something warming: all of its allowance while it writes internally only, then a part that gets
smaller with every day of the curve, none after `mixed_days`. A mailbox counts with what is less
far: itself or the egress it sends through.
"""

from __future__ import annotations

from dataclasses import dataclass

# Of a mailbox that warms up no more and is written to: few enough to take nothing noticeable of
# what its client may send.
REPLIES_OF_OTHERS = 4


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a warm-up is: its day of the curve, and what that day admits in messages."""

    day: int
    allowance: int


def part(progress: Progress, internal_days: int, mixed_days: int) -> int:
    """Messages of this day that are warm-up mail, from 0 to its allowance."""
    if progress.day <= internal_days:
        return progress.allowance
    if progress.day > mixed_days:
        return 0
    whole = mixed_days + 1 - internal_days
    left = mixed_days + 1 - progress.day
    return -(-progress.allowance * left // whole)


def quota(
    mailbox: Progress | None, egress: Progress | None, internal_days: int, mixed_days: int
) -> int:
    """Messages of warm-up mail of a mailbox today; None: not warming.

    `egress`: with what is left for one of its mailboxes.
    """
    warming = [each for each in (mailbox, egress) if each is not None]
    if not warming:
        return 0
    most = max(part(each, internal_days, mixed_days) for each in warming)
    return min(most, *(each.allowance for each in warming))
