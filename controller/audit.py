"""The audit log: who did what to what, why, and on what evidence.

An entry is written in the transaction that does the thing, so neither exists without the other.
Entries are never changed. Secrets and content of messages never stand in one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, TypedDict

from controller.store import Store, Transaction, queries

_SQL = queries.load("audit")


class Entry(TypedDict):
    """An entry as `write_audits` takes it; see `write_audit` for what the fields mean."""

    actor: str
    action: str
    subject: str
    reason: str
    evidence: dict[str, Any]


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


async def write_audits(tx: Transaction, entries: Iterable[Entry]) -> None:
    """Adds many entries together."""
    rows = list(entries)
    if rows:
        await tx.execute_many(_SQL["write"], rows)


class Pace:
    """Says whether something that repeats should be written again: once a minute for each key.

    A caller that is refused tries again for ever; the log should say so, not fill up with it.
    """

    def __init__(
        self,
        every_s: float = 60.0,
        remembered: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_s = every_s
        self._remembered = remembered
        self._clock = clock
        self._written: dict[tuple[str, ...], float] = {}

    def is_due(self, *key: str) -> bool:
        """True at most once a minute for a key, which then counts as written."""
        now_s = self._clock()
        last_s = self._written.get(key)
        if last_s is not None and now_s - last_s < self._every_s:
            return False
        if len(self._written) >= self._remembered:
            self._written.clear()
        self._written[key] = now_s
        return True
