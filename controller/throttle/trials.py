"""One message tries a breaker that is half open; dispatch asks which.

A trial whose outcome nobody reports is given up after half an hour, and another one chosen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from controller.audit import Entry, write_audits
from controller.store import Row, Transaction, queries

_SQL = queries.load("throttle")
_TRIAL_S = 1800

Trials = dict[str, list[Row]]
"""By message id, the breakers it would try."""


async def choose_trials(tx: Transaction, horizon_s: int) -> Trials:
    """A message for each breaker that may be tried; they stay locked until the claim is done."""
    rows = await tx.fetch_all(_SQL["choose_trials"], horizon_s=horizon_s, trial_s=_TRIAL_S)
    return assign_trials(rows)


def assign_trials(rows: Sequence[Row]) -> Trials:
    """One message for each breaker, from what was chosen for each alone. Pure.

    A message stands behind its egress's breaker and its domain's: it tries both, and no second one
    may try either. A breaker for which nothing is left waits for the next cycle.
    """
    half_open = {_pair(row) for row in rows}
    tried: dict[tuple[str, str, str], str] = {}
    for row in rows:
        pairs = [pair for pair in _pairs_of(row) if pair in half_open]
        if not any(pair in tried for pair in pairs):
            message_id: str = row["id"]
            tried |= dict.fromkeys(pairs, message_id)
    trials: Trials = {}
    for row in rows:
        if _pair(row) in tried:
            trials.setdefault(tried[_pair(row)], []).append(row)
    return trials


def _pair(row: Row) -> tuple[str, str, str]:
    return row["scope"], row["provider"], row["subject"]


def _pairs_of(row: Row) -> list[tuple[str, str, str]]:
    """The pairs of the message that was chosen in this row."""
    return [
        ("provider-domain", row["provider"], row["domain"]),
        ("provider-egress", row["provider"], row["egress_id"]),
    ]


async def begin_trials(tx: Transaction, trials: Trials, dispatched: Collection[str]) -> None:
    """Notes those that are on their way."""
    begun = [(id, row) for id in dispatched for row in trials.get(id, ())]
    for id, row in begun:
        pair = {key: row[key] for key in ("scope", "provider", "subject")}
        await tx.execute(_SQL["begin_trial"], **pair, message_id=id)
    await write_audits(
        tx,
        [
            Entry(
                actor="controller/breaker",
                action=f"try-{row['scope']}",
                subject=f"{row['scope']}/{row['provider']}/{row['subject']}",
                reason="the breaker is half open: one message tries",
                evidence={"message": id},
            )
            for id, row in begun
        ],
    )
