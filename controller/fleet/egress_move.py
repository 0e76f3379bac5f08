"""Moves one egress to a node of the operator's choice, in order."""

from __future__ import annotations

from postfleet.v1 import fleet_pb2

from controller.audit import write_audit
from controller.fleet.errors import NotFoundError, RefusedError
from controller.fleet.ordering import lock_node, reason_given, run_order
from controller.placement import NodeState
from controller.shards.carry_out import carry_out
from controller.shards.fleet_now import EgressNow, FleetNow
from controller.shards.reach import judge
from controller.shards.read import LOCK, read_fleet_now
from controller.shards.snapshot import node_states, place_of
from controller.shards.steps import Step, Steps
from controller.store import Store, Transaction, queries

_SQL = queries.load("shards")


async def move_egress(
    store: Store, request: fleet_pb2.MoveEgressRequest, actor: str, join_grace_s: float
) -> fleet_pb2.MoveEgressReply:
    """Begins the move. An egress that is there already stays, and nothing is changed.

    Raises NotFoundError, BadRequestError, RefusedError.
    """
    reason = reason_given(request.reason)

    async def work(tx: Transaction) -> fleet_pb2.MoveEgressReply:
        await tx.lock(LOCK)
        await lock_node(tx, request.to_node)
        fleet = await read_fleet_now(tx)
        egress = fleet.egress.get(request.egress_id)
        if egress is None:
            raise NotFoundError(
                f"there is no egress {request.egress_id!r} in the fleet; `postfleet egress list` "
                "shows them"
            )
        is_there = egress.node_id == request.to_node and not egress.releasing
        reply = fleet_pb2.MoveEgressReply(
            changed=not is_there, from_node=egress.node_id or "", mailboxes=egress.mailboxes
        )
        if is_there:
            return reply
        if reasons := why_not(fleet, egress, request.to_node, join_grace_s):
            raise RefusedError(reasons)
        await _begin(tx, egress, request.to_node, actor)
        await write_audit(
            tx,
            actor=actor,
            action="move-egress",
            subject=f"egress/{egress.id}",
            reason=reason,
            evidence={"from": egress.node_id, "to": request.to_node},
        )
        return reply

    return await run_order(store, work, request.dry_run)


def why_not(fleet: FleetNow, egress: EgressNow, to_node: str, join_grace_s: float) -> list[str]:
    """What stands against the move; empty: nothing. Pure."""
    states = node_states(fleet, join_grace_s)
    target = fleet.node[to_node]
    said = []
    if egress.only_node not in (None, to_node):
        said.append(f"{egress.id} is an address of node {egress.only_node} and can be only there")
    reach = judge(fleet)
    if to_node in reach.unreachable_from(egress.id, None):
        said.append(
            f"node {to_node} cannot reach the proxy of {egress.id}, as its probe found; `postfleet "
            f"egress show {egress.id}` says until when it is kept off it"
        )
    elif to_node in reach.cut_off:
        said.append(f"node {to_node} is cut off from the proxies of most of its egresses")
    elif states[to_node] is not NodeState.ACTIVE:
        why = "is closed for egresses" if target.is_closed else "is not connected"
        said.append(f"node {to_node} {why}; `postfleet node show {to_node}` says more")
    load = sum(e.mailboxes for e in fleet.egresses if place_of(e, states) == to_node)
    if load + egress.mailboxes > target.capacity:
        said.append(
            f"node {to_node} has room for {max(0, target.capacity - load):,} mailboxes, and "
            f"{egress.id} has {egress.mailboxes:,}; its capacity stands in the inventory"
        )
    if egress.move is not None or egress.releasing:
        goal = egress.move.to_node if egress.move else None
        said.append(f"{egress.id} is on its way to {goal or 'nowhere'} already")
    if fleet.order is not None:
        said.append("a rebalance is running and could move it on; `shard rebalance --stop` ends it")
    under_way = sum(e.move is not None and e.move.to_node is not None for e in fleet.egresses)
    if under_way >= fleet.limit:
        said.append(
            f"{under_way:,} moves are under way, and no more than {fleet.limit:,} may be "
            "(fleet.moves_in_flight); ask again when some are over"
        )
    return said


async def _begin(tx: Transaction, egress: EgressNow, to_node: str, actor: str) -> None:
    """Asks it back, or takes it back where nobody uses it; reconcile does the rest."""
    if egress.node_id is not None and egress.in_term:
        step = Step(egress.id, egress.mailboxes, egress.node_id, to_node, "operator")
        await carry_out(tx, Steps(ask_back=[step]), actor)
        return
    if egress.node_id is not None:
        step = Step(egress.id, egress.mailboxes, egress.node_id, to_node, "operator")
        await carry_out(tx, Steps(withdraw=[step]), actor)
    await tx.execute(
        _SQL["begin_moves"],
        egress_ids=[egress.id],
        from_nodes=[egress.node_id or ""],
        to_nodes=[to_node],
        reasons=["operator"],
    )
