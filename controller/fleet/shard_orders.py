"""What operators order of shards: drain a node, even the load out, move one egress.

An order is written down; reconcile carries it out, a few moves at a time, whoever leads. What
cannot be is refused with the reason, and nothing is changed.
"""

from __future__ import annotations

import asyncio

from postfleet.v1 import fleet_pb2

from controller.audit import write_audit
from controller.fleet.errors import BadRequestError, RefusedError
from controller.fleet.ordering import lock_node, reason_given, run_order
from controller.fleet.shard_views import capacity_view, plan_view
from controller.placement import Plan, Policy, place
from controller.shards.drain import foresee_drain, refusals
from controller.shards.fleet_now import FleetNow
from controller.shards.read import LOCK, read_fleet_now
from controller.shards.snapshot import build_snapshot
from controller.shards.survival import survey
from controller.store import Store, Transaction, queries

_SQL = queries.load("shard_orders")
_SHARDS = queries.load("shards")
_MOST_IN_FLIGHT = 1000


async def plan(store: Store, join_grace_s: float) -> fleet_pb2.ShardPlan:
    """What placement would move now, evening out included."""
    async with store.transaction() as tx:
        fleet = await read_fleet_now(tx)
    return await asyncio.to_thread(lambda: plan_view(fleet, _even(fleet, join_grace_s)))


async def capacity(store: Store, join_grace_s: float) -> fleet_pb2.CapacityReport:
    """Whether the fleet survives losses."""
    async with store.transaction() as tx:
        fleet = await read_fleet_now(tx)
    snapshot = build_snapshot(fleet, join_grace_s)
    return capacity_view(snapshot, await asyncio.to_thread(survey, snapshot))


async def drain(
    store: Store, request: fleet_pb2.DrainNodeRequest, actor: str, join_grace_s: float
) -> fleet_pb2.ShardPlan:
    """Cordons the node and has it give everything back. Raises NotFoundError, RefusedError."""
    reason = reason_given(request.reason)

    async def work(tx: Transaction) -> fleet_pb2.ShardPlan:
        await tx.lock(LOCK)
        node = await lock_node(tx, request.node_id)
        if node["decommissioned"]:
            raise RefusedError([
                f"node {request.node_id} is decommissioned: it gives everything back already"
            ])  # fmt: skip
        fleet = await read_fleet_now(tx)
        foreseen = await asyncio.to_thread(foresee_drain, fleet, request.node_id, join_grace_s)
        if not fleet.node[request.node_id].draining:
            if reasons := refusals(foreseen, request.node_id, force=request.force):
                raise RefusedError(reasons)
            await tx.execute(_SQL["set_draining"], node_id=request.node_id)
            await write_audit(
                tx,
                actor=actor,
                action="drain-node",
                subject=f"node/{request.node_id}",
                reason=reason,
                evidence=_figures(foreseen.plan) | {"left_out": foreseen.by_client},
            )
        view = plan_view(fleet, foreseen.plan)
        view.changed = not fleet.node[request.node_id].draining
        return view

    return await run_order(store, work, request.dry_run)


async def rebalance(
    store: Store, request: fleet_pb2.RebalanceShardsRequest, actor: str, join_grace_s: float
) -> fleet_pb2.ShardPlan:
    """Orders that the load is evened out, or calls that off.

    Raises BadRequestError, RefusedError (one is running, or something has no place at all).
    """
    reason, most = reason_given(request.reason), request.max_in_flight
    if most > _MOST_IN_FLIGHT:
        raise BadRequestError(f"max_in_flight: {most:,}; at most {_MOST_IN_FLIGHT:,}")

    async def work(tx: Transaction) -> fleet_pb2.ShardPlan:
        await tx.lock(LOCK)
        fleet = await read_fleet_now(tx)
        planned = await asyncio.to_thread(_even, fleet, join_grace_s)
        view = plan_view(fleet, planned)
        if request.stop:
            view.changed = await _stop(tx, actor, reason)
            return view
        await _check_order(tx, planned)
        if planned.moves:
            await tx.fetch_one(
                _SQL["begin_order"], actor=actor, reason=reason, max_in_flight=most or None
            )
            await _say(tx, actor, "order-rebalance", reason, _figures(planned))
            view.changed, view.limit = True, most or fleet.moves_in_flight
        return view

    return await run_order(store, work, request.dry_run)


async def _check_order(tx: Transaction, planned: Plan) -> None:
    running = await tx.fetch_optional(_SQL["order_since"])
    if running is not None:
        raise RefusedError([
            f"a rebalance that {running['actor']} ordered at "
            f"{running['began_at']:%Y-%m-%d %H:%M:%S %Z} is running. `postfleet shard moves` shows "
            "it, `postfleet shard rebalance --stop` calls it off"
        ])  # fmt: skip
    nowhere = [item for item in planned.left_out if item.stays_on is None]
    if nowhere:
        raise RefusedError([
            f"{len(nowhere):,} egresses have no place at all, "
            f"{planned.missing_capacity:,} mailboxes of capacity are missing: that comes first. "
            "`postfleet capacity` says what to add"
        ])  # fmt: skip


async def _stop(tx: Transaction, actor: str, reason: str) -> bool:
    stopped = await tx.fetch_optional(_SHARDS["end_order"])
    if stopped is not None:
        await _say(tx, actor, "stop-rebalance", reason, {"ordered_by": stopped["actor"]})
    return stopped is not None


def _even(fleet: FleetNow, join_grace_s: float) -> Plan:
    return place(build_snapshot(fleet, join_grace_s), Policy(rebalance=True))


def _figures(planned: Plan) -> dict[str, object]:
    return {"moves": len(planned.moves), "mailboxes": planned.moved}


async def _say(
    tx: Transaction, actor: str, action: str, reason: str, evidence: dict[str, object]
) -> None:
    await write_audit(
        tx,
        actor=actor,
        action=action,
        subject="fleet/placement",
        reason=reason,
        evidence=evidence,
    )


async def moves(store: Store) -> fleet_pb2.ShardMoves:
    """What is under way."""
    async with store.transaction() as tx:
        rows = await tx.fetch_all(_SQL["moves"])
        order = await tx.fetch_optional(_SQL["order_since"])
    view = fleet_pb2.ShardMoves(moves=[fleet_pb2.ShardMove(**row) for row in rows])
    if order is not None:
        view.rebalancing, view.ordered_by = True, order["actor"]
        view.max_in_flight = order["max_in_flight"] or 0
    return view
