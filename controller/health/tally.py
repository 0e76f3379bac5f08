"""Counts what was learned, in the transaction that stores it."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from controller.store import Transaction, queries

_SQL = queries.load("health")


class Whose(NamedTuple):
    """Whose message it was, and at which provider: one of the table, `other` or `unknown`."""

    mailbox: str
    egress_id: str
    provider: str


class Tally:
    """Gathers counts; `write` adds them to those of the running hour.

    An hour is the one in which something was learned: what a node reports late, or a complaint that
    comes after a week, counts from then on.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[Whose, str]] = Counter()

    def add(self, whose: Whose, kind: str) -> None:
        """One more; `kind` is one of `controller.health.counts`."""
        self._counts[whose, kind] += 1

    async def write(self, tx: Transaction) -> None:
        """The last thing of a transaction: others wait for these rows until it ends."""
        if not self._counts:
            return
        items = sorted(self._counts.items())
        await tx.execute(
            _SQL["count"],
            mailboxes=[whose.mailbox for (whose, _), _ in items],
            egress_ids=[whose.egress_id for (whose, _), _ in items],
            providers=[whose.provider for (whose, _), _ in items],
            kinds=[kind for (_, kind), _ in items],
            counts=[count for _, count in items],
        )
