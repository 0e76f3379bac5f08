"""Reconcile: ends terms, places egresses, asks nodes to give back what must move.

Each cycle reads the fleet, lets `controller.placement` decide, and writes what differs: free
egresses are assigned at once (the node's wanted generation rises in the same transaction), those
that are held are asked back first, and placed when they are free.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import structlog
from prometheus_client import Gauge

from controller.audit import Entry, write_audit, write_audits
from controller.leases.watcher import Watcher
from controller.loops.snapshot import build_snapshot, is_new
from controller.metrics import REGISTRY
from controller.placement import Move, Plan, Policy, place
from controller.store import Row, Store, Transaction, queries

_log = structlog.get_logger(__name__)
_SQL = queries.load("reconcile")
_RELEASES = queries.load("releases")
ACTOR = "controller/reconcile"
_ACTIONS = {
    "assign": "assign-egress",
    "withdraw": "withdraw-egress",
    "ask_back": "ask-egress-back",
}
# How long a node that is in the inventory and never connected is counted on.
JOIN_GRACE_S = 600.0

UNPLACED = Gauge(
    "postfleet_controller_egresses_unplaced",
    "Egresses that no node has room for.",
    registry=REGISTRY,
)


class Reconciler:
    """One leader's reconcile loop; what it has observed is its own."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float] = time.monotonic,
        join_grace_s: float = JOIN_GRACE_S,
    ) -> None:
        self._store = store
        self._clock = clock
        self._join_grace_s = join_grace_s
        self._watcher = Watcher(store, clock)
        self._new_since: dict[str, float] = {}
        self._left_out: tuple[str, ...] = ()

    async def run_cycle(self) -> str:
        """One look at leases and placement."""
        ended = await self._watcher.look()
        plan = await self._store.run(self._place)
        UNPLACED.set(len(plan.left_out))
        words = [f"ended the term of {term.node_id}" for term in ended]
        if plan.moves:
            words.append(f"moved {len(plan.moves)} egresses")
        if plan.left_out:
            words.append(f"{len(plan.left_out)} egresses fit nowhere")
        if words:
            _log.info("reconciled", did=", ".join(words))
        return ", ".join(words) or "everything is where it should be"

    async def _place(self, tx: Transaction) -> Plan:
        nodes = await tx.fetch_all(_SQL["nodes"])
        await _withdraw_idle(tx)
        egresses = await tx.fetch_all(_SQL["egresses"])
        plan = place(build_snapshot(nodes, egresses, self._awaited(nodes)), Policy())
        if plan.moves:
            await _carry_out(tx, plan, egresses)
        await self._report_left_out(tx, plan)
        return plan

    def _awaited(self, nodes: Iterable[Row]) -> set[str]:
        now_s = self._clock()
        new = {node["id"] for node in nodes if is_new(node)}
        self._new_since = {id: self._new_since.get(id, now_s) for id in new}
        return {id for id, since in self._new_since.items() if now_s - since < self._join_grace_s}

    async def _report_left_out(self, tx: Transaction, plan: Plan) -> None:
        left_out = tuple(item.egress_id for item in plan.left_out)
        if left_out and left_out != self._left_out:
            await write_audit(
                tx,
                actor=ACTOR,
                action="leave-out-egresses",
                subject="fleet/placement",
                reason=f"{plan.missing_capacity} mailboxes of capacity are missing",
                evidence={
                    "egresses": {item.egress_id: item.reason for item in plan.left_out[:1000]}
                },
            )
        self._left_out = left_out


async def _carry_out(tx: Transaction, plan: Plan, egresses: list[Row]) -> None:
    rows = {egress["id"]: egress for egress in egresses}
    touched = {n for move in plan.moves for n in (move.from_node, move.to_node) if n}
    await tx.fetch_all(_SQL["lock_leases"], node_ids=sorted(touched))
    held = [move for move in plan.moves if move.from_node is not None]
    changed = {
        row["node_id"]: "withdraw" for row in await _apply(tx, "withdraw", held, from_node=True)
    }
    await _apply(tx, "ask_back", held, from_node=True)
    # What is being released is planned already, and assigned once it is free.
    free = [
        move
        for move in plan.moves
        if move.to_node is not None and rows[move.egress_id]["node_id"] is None
    ]
    assigned = await _apply(tx, "assign", free, from_node=False)
    changed |= {row["node_id"]: "assign" for row in assigned}
    if assigned:
        await tx.execute(
            _SQL["begin_terms_for_returned"],
            egress_ids=[row["egress_id"] for row in assigned],
            node_ids=[row["node_id"] for row in assigned],
        )
    if changed:
        await tx.execute(_RELEASES["raise_generation"], node_ids=sorted(changed))


async def _apply(tx: Transaction, action: str, moves: list[Move], *, from_node: bool) -> list[Row]:
    """Runs one of the three changes for these moves and audits each that took place."""
    if not moves:
        return []
    done = await tx.fetch_all(
        _SQL[action],
        egress_ids=[move.egress_id for move in moves],
        node_ids=[move.from_node if from_node else move.to_node for move in moves],
    )
    why = {move.egress_id: move.reason for move in moves}
    await write_audits(
        tx,
        [
            Entry(
                actor=ACTOR,
                action=_ACTIONS[action],
                subject=f"egress/{row['egress_id']}",
                reason=f"placement: {why[row['egress_id']]}",
                evidence={"node": row["node_id"]},
            )
            for row in done
        ],
    )
    return done


async def _withdraw_idle(tx: Transaction) -> None:
    freed = await tx.fetch_all(_SQL["withdraw_idle"])
    if freed:
        await tx.execute(
            _RELEASES["raise_generation"], node_ids=sorted({row["node_id"] for row in freed})
        )
