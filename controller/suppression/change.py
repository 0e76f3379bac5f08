"""Adds and removes suppressions. Each change is one transaction with its audit entries.

What waits is not touched here: dispatch ends it when its time comes, and what is on a node already
is called back (`controller.sessions.suppressed`).
"""

from __future__ import annotations

from collections.abc import Sequence

from controller.audit import Entry as AuditEntry
from controller.audit import write_audits
from controller.store import Row, Transaction, queries
from controller.suppression.entry import Entry

SQL = queries.load("suppression")
# Beyond this an audit entry names the first ones and how many there were.
_MOST_NAMED = 100


async def add(tx: Transaction, entries: Sequence[Entry], actor: str) -> list[tuple[str, str]]:
    """Adds those that are not there; gives (client id, recipient) of each that was added."""
    added = await tx.fetch_all(
        SQL["add"],
        client_ids=[each.client_id for each in entries],
        recipients=[each.recipient for each in entries],
        reasons=[each.reason for each in entries],
        evidences=[each.evidence for each in entries],
        sinces=[each.since for each in entries],
    )
    keys = [(row["client_id"], row["recipient"]) for row in added]
    why = {(each.client_id, each.recipient): each.reason for each in entries}
    await _audit(tx, actor, "add-suppression", [(*key, why[key]) for key in keys], "")
    return keys


async def remove(
    tx: Transaction, client_id: str, recipients: Sequence[str], actor: str, reason: str
) -> list[Row]:
    """Removes those that are there; gives the rows as they were."""
    rows = await tx.fetch_all(SQL["remove"], client_id=client_id, recipients=list(recipients))
    gone = [(row["client_id"], row["recipient"], row["reason"]) for row in rows]
    await _audit(tx, actor, "remove-suppression", gone, reason)
    return rows


async def _audit(
    tx: Transaction, actor: str, action: str, rows: Sequence[tuple[str, str, str]], reason: str
) -> None:
    """One entry for each client, so that an import of 100,000 does not fill the log."""
    entries: list[AuditEntry] = []
    for client_id in sorted({client_id for client_id, _, _ in rows}):
        named = [(recipient, why) for client, recipient, why in rows if client == client_id]
        entries.append(
            AuditEntry(
                actor=actor,
                action=action,
                subject=f"suppression/{client_id or '*'}",
                reason=reason,
                evidence={"count": len(named), "recipients": dict(named[:_MOST_NAMED])},
            )
        )
    await write_audits(tx, entries)
