"""Takes the planner's choice back from messages that no node has; their allowance returns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from controller.planner import ledger
from controller.store import Transaction, queries

SQL = queries.load("planner")


async def unplan(tx: Transaction, message_ids: Sequence[str], reason: str) -> None:
    """Makes scheduled messages `accepted` again; they keep their mailbox.

    The caller holds their rows locked in this transaction, in state `scheduled`. The next cycle
    plans them anew, with the egress the mailbox has then; until then `reason` stands in them.
    """
    await ledger.refund(tx, message_ids)
    await tx.execute(SQL["unplan"], ids=list(message_ids), reason=reason)


async def unplan_overdue(tx: Transaction, today: date, limit: int) -> int:
    """Does that to messages planned for a day before `today`: they would send on another day's cap.

    Gives how many.
    """
    rows = await tx.fetch_all(SQL["overdue"], day=today, limit=limit)
    if rows:
        reason = "it was planned for a day that ended before it could be sent"
        await unplan(tx, [row["id"] for row in rows], reason)
    return len(rows)
