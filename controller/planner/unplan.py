"""Takes back what the planner chose: of messages that no node has, and slots not right any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controller.planner import ledger
from controller.planner.calendar import hour_of
from controller.store import Transaction, queries

SQL = queries.load("planner")


async def unplan(tx: Transaction, message_ids: Sequence[str], reason: str) -> None:
    """Makes scheduled messages `accepted` again; they keep their mailbox.

    The caller holds their rows locked in this transaction, in state `scheduled`. The next cycle
    plans them anew, with the egress the mailbox has then; until then `reason` stands in them. One
    that was attempted before keeps its charge and is not charged again.
    """
    await ledger.refund(tx, message_ids)
    await tx.execute(SQL["unplan"], ids=list(message_ids), reason=reason)


async def unplan_overdue(tx: Transaction, now: datetime, limit: int) -> int:
    """Does that to messages planned for an hour that is over: they would send on another's cap.

    Those that came back from a node after an attempt stay: they were charged when first attempted.
    Gives how many.
    """
    rows = await tx.fetch_all(SQL["overdue"], hour=hour_of(now), limit=limit)
    if rows:
        reason = "it was planned for an hour that ended before it could be sent"
        await unplan(tx, [row["id"] for row in rows], reason)
    return len(rows)


async def draw_slots(tx: Transaction) -> None:
    """Lets the next cycles draw the slots of all mailboxes anew: limits or windows changed."""
    await tx.execute(SQL["draw_slots"])
