"""What follows when a node has nothing left of a message about which an operator has decided."""

from __future__ import annotations

from collections.abc import Sequence

from controller.message_life import STEPS, Event
from controller.store import Row, Transaction, queries

_SQL = queries.load("resolutions")


async def discarded(tx: Transaction, node_id: str, message_ids: Sequence[str]) -> list[str]:
    """The node answered; gives the messages that will be sent again. Repeating changes nothing."""
    return await _resend(tx, await tx.fetch_all(_SQL["done"], node_id=node_id, ids=message_ids))


async def disk_gone(tx: Transaction, node_id: str) -> list[str]:
    """The node's disk is another one, so nothing is left on it."""
    return await _resend(tx, await tx.fetch_all(_SQL["disk_gone"], node_id=node_id))


async def resend(tx: Transaction, message_ids: Sequence[str]) -> None:
    """Lets messages that are uncertain, and on no node, begin anew."""
    sources = [str(state) for state in STEPS[Event.RESENT].sources]
    await tx.execute(_SQL["resend"], ids=list(message_ids), sources=sources)


async def _resend(tx: Transaction, rows: Sequence[Row]) -> list[str]:
    again = [row["message_id"] for row in rows if row["resend"]]
    if again:
        await resend(tx, again)
    return again
