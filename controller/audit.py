"""The audit log: who did what to what, why, and on what evidence.

An entry is written in the transaction that does the thing, so neither exists without the other.
Entries are never changed. Secrets and content of messages never stand in one.
"""

from __future__ import annotations

from typing import Any

from controller.store import Store, Transaction, queries

_SQL = queries.load("audit")


async def write_audit(
    tx: Transaction | Store,
    *,
    actor: str,
    action: str,
    subject: str,
    reason: str = "",
    evidence: dict[str, Any] | None = None,
) -> None:
    """Adds an entry in `tx` (a `Store`: in a transaction of its own, for refusals).

    actor: `operator/<name>`, `node/<id>`, `client/<id>`, `controller/<loop>`; action: verb and
    object with hyphens (`end-term`, `assign-egress`); subject: `kind/id` (`egress/px001`);
    evidence: what JSON can hold.
    """
    await tx.execute(
        _SQL["write"],
        actor=actor,
        action=action,
        subject=subject,
        reason=reason,
        evidence=evidence or {},
    )
