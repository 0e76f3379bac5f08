"""Campaigns: what their states mean for messages and recipients, a batch at a time.

Ends the messages of cancelled campaigns, looks at how messages ended and makes messages of the
follow-ups that are due, and notes which campaigns have nothing left to do.
"""

from __future__ import annotations

from controller.campaigns.follow import look_at_ended, send_due
from controller.fleet.cancel import carry_out, judge
from controller.store import Store, Transaction, queries

_CANCEL = queries.load("cancel")
_SQL = queries.load("campaigns")
_BATCH = 1000
# Of follow-ups, which come with their content.
_DUE = 200


class Campaigns:
    """One leader's look at campaigns; it remembers nothing. `is_busy`: there is more at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_busy = False

    async def run_cycle(self) -> str:
        """One batch of everything; gives a sentence on what it did."""
        ended = await self._store.run(_end_cancelled)
        looked = await self._store.run(lambda tx: look_at_ended(tx, _BATCH))
        due = await send_due(self._store, _DUE)
        finished = await self._store.run(_finish)
        self.is_busy = ended >= _BATCH or looked >= _BATCH or due >= _DUE
        did = [
            f"ended {ended} messages of cancelled campaigns" if ended else "",
            f"looked at {looked} messages that ended" if looked else "",
            f"{due} follow-ups were due" if due else "",
            f"finished {', '.join(finished)}" if finished else "",
        ]
        return "; ".join(filter(None, did)) or "no campaign has anything to do"


async def _end_cancelled(tx: Transaction) -> int:
    rows = {row["id"]: row for row in await tx.fetch_all(_CANCEL["lock_campaigns"], limit=_BATCH)}
    for actor, why in {(row["actor"], row["why"]) for row in rows.values()}:
        mine = {id: row for id, row in rows.items() if (row["actor"], row["why"]) == (actor, why)}
        verdicts = {id: judge(row, actor) for id, row in mine.items()}
        await carry_out(tx, mine, verdicts, actor, why)
    if not rows:
        await tx.execute(_SQL["all_ended"])
    return len(rows)


async def _finish(tx: Transaction) -> list[str]:
    return sorted(row["id"] for row in await tx.fetch_all(_SQL["finish"]))
