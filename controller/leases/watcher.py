"""Ends terms that nobody renews, and frees what their nodes held, each in one transaction.

Runs on the elected controller, but is safe on several at once: a term ends only where `epoch` and
`renewals` still are what this process saw standing still, and a renewal that comes first wins.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from controller.audit import write_audit
from controller.leases.observer import LeaseRow, Observer, TermOver
from controller.store import Store, Transaction, queries

_SQL = queries.load("leases")
_DISPATCH = queries.load("dispatch")
ACTOR = "controller/leases"


class Watcher:
    """Watches the leases of one database; call `look` often (a second or less apart)."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._observer = Observer()

    async def look(self) -> list[TermOver]:
        """Reads all leases and ends the terms that are over; gives those it ended."""
        read_from_s = self._clock()
        rows = await self._store.fetch_all(_SQL["leases"])
        over = self._observer.look(
            [LeaseRow(**row) for row in rows],
            read_from_s=read_from_s,
            read_until_s=self._clock(),
        )
        return [term for term in over if await self._end(term)]

    async def _end(self, term: TermOver) -> bool:
        async def work(tx: Transaction) -> bool:
            ended = await tx.execute(
                _SQL["end_term"],
                node_id=term.node_id,
                epoch=term.epoch,
                renewals=term.renewals,
            )
            if not ended:
                return False
            reason = f"no renewal for {term.silent_s:.1f} s"
            await free_everything(tx, term.node_id, term.epoch, ACTOR, reason)
            return True

        return await self._store.run(work)


async def free_everything(
    tx: Transaction, node_id: str, epoch: int, actor: str, reason: str
) -> list[str]:
    """Frees the egresses of a node whose term has just ended in `tx`; gives them, and audits."""
    freed = await tx.fetch_all(_SQL["free_assignments"], node_id=node_id)
    egress_ids = sorted(row["egress_id"] for row in freed)
    await tx.execute(_SQL["mark_lost"], node_id=node_id)
    back = await tx.fetch_all(
        _DISPATCH["take_back_not_due"],
        node_id=node_id,
        reason=f"taken back from node {node_id}, whose term ended before it was due",
    )
    await tx.execute(
        _DISPATCH["say_why_waiting"],
        node_id=node_id,
        reason=f"it is on node {node_id}, whose term is over: it waits for the node's report",
    )
    await write_audit(
        tx,
        actor=actor,
        action="end-term",
        subject=f"node/{node_id}",
        reason=reason,
        evidence={"epoch": epoch, "freed": egress_ids, "mail_taken_back": len(back)},
    )
    return egress_ids


async def fence_node(tx: Transaction, node_id: str, actor: str, reason: str) -> list[str]:
    """Ends a node's term at once because an operator attests that the machine is off."""
    row = await tx.fetch_optional(_SQL["fence"], node_id=node_id)
    return await free_everything(tx, node_id, row["epoch"] if row else 0, actor, reason)
