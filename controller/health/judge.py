"""The verdict on one mailbox, egress or domain. Pure.

A mailbox stands or falls by its own figures, in all and at each provider. An egress and a domain
are slowed by theirs, but stopped only when those who send through them agree: several mailboxes of
the egress that are stopped, several egresses of the domain. What is on a blocking list is
quarantined.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.health.bands import (
    NOTHING,
    Band,
    Calls,
    Standing,
    called_for,
    next_standing,
)
from controller.health.counts import Counts
from controller.health.rates import Estimate, estimates
from controller.health.score import Score, score
from inventory.health import Health

SCOPES = ("mailbox", "egress", "domain")
"""In this order they are judged: the verdict on an egress needs those on its mailboxes."""
_VOTERS = {"egress": "mailboxes", "domain": "egresses"}


@dataclass(frozen=True, slots=True)
class Votes:
    """Of those who send through it, which are stopped; `what` they are (mailboxes, egresses)."""

    what: str
    members: int
    stopped: tuple[str, ...]

    @classmethod
    def on(cls, scope: str, members: int, stopped: Iterable[str]) -> Votes:
        """The votes on an egress or domain."""
        return cls(_VOTERS[scope], members, tuple(stopped))

    def agree(self, health: Health) -> bool:
        """Whether it is more than the trouble of one."""
        return len(self.stopped) >= max(2, -(-self.members * health.agree_percent // 100))


@dataclass(frozen=True, slots=True)
class Evidence:
    """`by_provider` has the same counts for each provider. `votes` None: it is a mailbox.

    `listings`: blocking lists that it is on, in words.
    """

    counts: Counts
    by_provider: Mapping[str, Counts]
    votes: Votes | None = None
    listings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`standing` is the one before, the same object, where nothing changes."""

    standing: Standing
    calls: Calls
    score: Score


def judge(now: datetime, was: Standing, evidence: Evidence, health: Health) -> Verdict:
    """What it is from now on, on what evidence."""
    each = all_estimates(evidence, health)
    calls = called_for(each, health)
    lasting = _listed(evidence.listings)
    if evidence.votes is not None:
        calls = calls.at_most(Band.SLOWED)
        lasting = lasting.worse(_agreed(evidence.votes, health))
    calls = calls.worse(lasting)
    standing = next_standing(now, was, calls, lasting, health)
    return Verdict(standing, calls, score(evidence.counts, each, health))


def all_estimates(evidence: Evidence, health: Health) -> list[Estimate]:
    """In all, and at each provider."""
    return [
        *estimates(evidence.counts, health),
        *(
            one
            for provider, counts in sorted(evidence.by_provider.items())
            for one in estimates(counts, health, provider)
        ),
    ]


def _agreed(votes: Votes, health: Health) -> Calls:
    if not votes.agree(health):
        return NOTHING
    words = (
        f"{len(votes.stopped):,} of its {votes.members:,} {votes.what} are stopped: "
        + ", ".join(votes.stopped[:5])
        + (", …" if len(votes.stopped) > 5 else "")
    )
    return Calls(Band.PAUSED, Band.PAUSED, (words,))


def _listed(listings: Sequence[str]) -> Calls:
    if not listings:
        return NOTHING
    return Calls(Band.QUARANTINED, Band.QUARANTINED, tuple(listings))
