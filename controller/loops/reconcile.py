"""Reconcile: ends terms, places egresses, asks nodes to give back what must move.

Each cycle reads the fleet, lets `controller.placement` decide where everything should be, and
`controller.shards` which part of that may be done now: what is free is assigned at once (the node's
wanted generation rises in the same transaction), what sends is asked back a few at a time. While an
order to rebalance stands, the load is evened out too; it ends when nothing is left to move. While
nothing changes, nothing is read but whether anything did.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import structlog
from prometheus_client import Gauge

from controller.audit import write_audit
from controller.leases.watcher import Watcher
from controller.metrics import REGISTRY
from controller.placement import Plan, Policy, place
from controller.shards.carry_out import carry_out, withdraw_idle
from controller.shards.changes import ChangeCheck
from controller.shards.fleet_now import FleetNow
from controller.shards.reach import judge
from controller.shards.read import LOCK, read_fleet_now
from controller.shards.snapshot import JOIN_GRACE_S, build_snapshot, holds_for_s, node_states
from controller.shards.steps import Steps, next_steps
from controller.store import Store, Transaction, queries

_log = structlog.get_logger(__name__)
_SQL = queries.load("shards")
ACTOR = "controller/reconcile"

UNPLACED = Gauge(
    "postfleet_controller_egresses_unplaced",
    "Egresses that have no place where they can send: no node has room for them, or none that has "
    "reaches them.",
    registry=REGISTRY,
)
UNREACHABLE = Gauge(
    "postfleet_controller_egresses_unreachable",
    "Egresses that a node is kept off, because its network does not lead to their proxies.",
    ["node"],
    registry=REGISTRY,
)
CUT_OFF = Gauge(
    "postfleet_controller_nodes_cut_off",
    "Nodes that get nothing more, because they reach the proxies of few of their egresses.",
    registry=REGISTRY,
)
MOVING = Gauge(
    "postfleet_controller_moves_under_way",
    "Egresses on their planned way from one node to another.",
    registry=REGISTRY,
)
WAITING = Gauge(
    "postfleet_controller_moves_waiting",
    "Planned moves that have not begun, because as many as may be are under way.",
    registry=REGISTRY,
)


class Reconciler:
    """One leader's reconcile loop; what it has observed of leases is its own."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float] = time.monotonic,
        join_grace_s: float = JOIN_GRACE_S,
    ) -> None:
        self._store = store
        self._join_grace_s = join_grace_s
        self._watcher = Watcher(store, clock)
        self._check = ChangeCheck(clock)
        self._left_out: tuple[str, ...] = ()
        # What is being carried out. A controller that has just begun makes one that is as good.
        self._plan: Plan | None = None
        self._said = ""

    async def run_cycle(self) -> str:
        """One look at leases and placement."""
        ended = await self._watcher.look()
        if not ended and not await self._check.is_due(self._store):
            return self._said
        self._check.forget()
        plan, steps, snapshot, fleet = await self._store.run(self._place)
        self._check.remember(snapshot, holds_for_s(fleet, self._join_grace_s))
        _show_reach(fleet)
        self._plan = plan
        UNPLACED.set(len(plan.left_out))
        MOVING.set(steps.under_way)
        WAITING.set(steps.waiting)
        words = [f"ended the term of {term.node_id}" for term in ended]
        if steps.moved:
            words.append(f"moved {len(steps.moved)} egresses")
        if steps.under_way:
            words.append(f"{steps.under_way} are under way and {steps.waiting} wait")
        if plan.left_out:
            words.append(f"{len(plan.left_out)} egresses fit nowhere")
        if steps.moved or plan.left_out or ended:
            _log.info("reconciled", did=", ".join(words))
        self._said = ", ".join(words) or "everything is where it should be"
        return self._said

    async def _place(self, tx: Transaction) -> tuple[Plan, Steps, str, FleetNow]:
        await tx.lock(LOCK)
        snapshot = await self._check.look(tx)
        await withdraw_idle(tx)
        fleet = await read_fleet_now(tx)
        plan, steps = await asyncio.to_thread(_decide, fleet, self._join_grace_s, self._plan)
        if not steps.is_nothing:
            await carry_out(tx, steps, ACTOR)
        if fleet.order and not plan.moves and not steps.under_way:
            await _end_order(tx)
        await self._report_left_out(tx, plan)
        await self._check.prune(tx, snapshot)
        return plan, steps, snapshot, fleet

    async def _report_left_out(self, tx: Transaction, plan: Plan) -> None:
        left_out = tuple(item.egress_id for item in plan.left_out)
        if left_out and left_out != self._left_out:
            await write_audit(
                tx,
                actor=ACTOR,
                action="leave-out-egresses",
                subject="fleet/placement",
                reason=_why_left_out(plan),
                evidence={
                    "egresses": {item.egress_id: item.reason for item in plan.left_out[:1000]}
                },
            )
        self._left_out = left_out


def _why_left_out(plan: Plan) -> str:
    if plan.missing_capacity:
        return f"{plan.missing_capacity} mailboxes of capacity are missing"
    return f"no node that could send for them: {plan.left_out[0].reason}"[:1000]


def _show_reach(fleet: FleetNow) -> None:
    UNREACHABLE.clear()
    for node_id, count in Counter(mark.node_id for mark in fleet.marks).items():
        UNREACHABLE.labels(node_id).set(count)
    CUT_OFF.set(len(judge(fleet).cut_off))


def _decide(fleet: FleetNow, join_grace_s: float, before: Plan | None) -> tuple[Plan, Steps]:
    """What should be where, and what of it is done now. For thousands of egresses it takes a while,
    so it runs beside the loop that answers heartbeats.
    """
    policy = Policy(rebalance=fleet.order is not None)
    plan = place(build_snapshot(fleet, join_grace_s), policy, before)
    return plan, next_steps(fleet, plan, node_states(fleet, join_grace_s), fleet.limit)


async def _end_order(tx: Transaction) -> None:
    order = await tx.fetch_one(_SQL["end_order"])
    await write_audit(
        tx,
        actor=ACTOR,
        action="end-rebalance",
        subject="fleet/placement",
        reason="the load is even: nothing is left to move",
        evidence={"ordered_by": order["actor"], "began_at": order["began_at"].isoformat()},
    )
