"""Reads what is judged: standings, counts by window and provider, votes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.health.bands import Band, Standing
from controller.health.counts import Counts, Window
from controller.health.judge import Evidence, Votes
from controller.store import Row, Transaction, queries

SQL = queries.load("health")
_COLUMNS = {
    Window.HOUR: "hour", Window.DAY: "day", Window.WEEK: "week", Window.MONTH: "month",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """A mailbox, egress or domain of the fleet, as it was judged last."""

    subject: str
    standing: Standing
    score: float
    reason: str
    is_new: bool


async def standings(
    tx: Transaction, scope: str, subjects: Sequence[str], now: datetime
) -> list[Known]:
    """Of those that the fleet has, by name; locked until `tx` ends."""
    rows = await tx.fetch_all(SQL["standings"], scope=scope, subjects=list(subjects))
    return [_known(row, now) for row in rows]


def _known(row: Row, now: datetime) -> Known:
    if row["band"] is None:
        return Known(row["subject"], Standing(Band.GOOD, now), 100.0, "", True)
    standing = Standing(
        Band[row["band"].upper()], row["since"], row["until"], row["stops"], row["stopped_at"],
        row["counted_from"],
    )  # fmt: skip
    return Known(row["subject"], standing, row["score"], row["reason"], False)


async def evidence(
    tx: Transaction, scope: str, known: Sequence[Known], now: datetime
) -> dict[str, Evidence]:
    """What there is on each, by subject."""
    rows = await tx.fetch_all(
        SQL["counts"],
        scope=scope,
        subjects=[each.subject for each in known],
        froms=[each.standing.counted_from for each in known],
        now=now,
    )
    by_subject: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_subject[row["subject"]].append(row)
    votes = await _votes(tx, scope, known)
    listings = await _listings(tx, scope, known, now)
    return {
        each.subject: _evidence(
            by_subject[each.subject], votes.get(each.subject), listings[each.subject]
        )
        for each in known
    }


async def _listings(
    tx: Transaction, scope: str, known: Sequence[Known], now: datetime
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {each.subject: [] for each in known}
    rows = await tx.fetch_all(SQL["listings"], scope=scope, subjects=list(found), now=now)
    for row in rows:
        found[row["subject"]].append(f"on a blocking list, by rule {row['stage']}: {row['reason']}")
    return found


def _evidence(rows: Sequence[Row], votes: Votes | None, listings: Sequence[str]) -> Evidence:
    by_provider: dict[str, dict[Window, dict[str, int]]] = {}
    all_: dict[Window, dict[str, int]] = {window: {} for window in Window}
    for row in rows:
        one = by_provider.setdefault(row["provider"], {window: {} for window in Window})
        for window, column in _COLUMNS.items():
            one[window][row["kind"]] = row[column]
            all_[window][row["kind"]] = all_[window].get(row["kind"], 0) + row[column]
    counts: Mapping[str, Counts] = by_provider
    return Evidence(all_, counts, votes, listings)


async def _votes(tx: Transaction, scope: str, known: Sequence[Known]) -> dict[str, Votes]:
    if scope == "mailbox":
        return {}
    rows = await tx.fetch_all(SQL["votes"], scope=scope, subjects=[k.subject for k in known])
    found = {r["subject"]: Votes.on(scope, r["members"], r["stopped"]) for r in rows}
    # One through which nobody sends has no votes, and is no mailbox all the same.
    return {k.subject: found.get(k.subject, Votes.on(scope, 0, ())) for k in known}
