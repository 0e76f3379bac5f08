"""Slows receivers that are in no provider's table: dispatch lets their mail go one by one.

The planner counts by provider, and all of these are `other` to it: what one small server wants must
not slow the others. So their mail is planned as any other, and each slowed pair of such a receiver
gets its turn when the time between two messages of its rate is over. What waits past its hour goes
back to the planner with its allowance, as all planned mail does that nobody takes.
"""

from __future__ import annotations

from collections.abc import Collection

from controller.store import Transaction, queries
from controller.throttle.trials import assign_trials

_SQL = queries.load("throttle")


async def choose_turns(tx: Transaction, horizon_s: int) -> list[str]:
    """One message for each pair whose turn it is; the pairs stay locked until the claim is done."""
    return list(assign_trials(await tx.fetch_all(_SQL["choose_turns"], horizon_s=horizon_s)))


async def note_turns(tx: Transaction, dispatched: Collection[str]) -> None:
    """Counts the time to the next one from now on, of all pairs of these messages."""
    if dispatched:
        await tx.execute(_SQL["note_turns"], ids=list(dispatched))
