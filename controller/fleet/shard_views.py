"""Plans of placement as protocol messages."""

from __future__ import annotations

from postfleet.v1 import fleet_pb2

from controller.placement import Plan
from controller.shards.fleet_now import FleetNow, NodeNow


def plan_view(fleet: FleetNow, plan: Plan) -> fleet_pb2.ShardPlan:
    """The plan with what a person needs beside it. Nodes out of service are left out if empty."""
    return fleet_pb2.ShardPlan(
        moves=[
            fleet_pb2.PlannedMove(
                egress_id=move.egress_id,
                client_id=fleet.egress[move.egress_id].client_id,
                from_node=move.from_node or "",
                to_node=move.to_node or "",
                mailboxes=move.mailboxes,
                reason=move.reason,
            )
            for move in plan.moves
        ],
        moved_mailboxes=plan.moved,
        lower_bound=plan.lower_bound,
        loads=[
            fleet_pb2.NodeShare(
                node_id=node.id,
                capacity=node.capacity,
                before=plan.load_before.get(node.id, 0),
                after=plan.load_after.get(node.id, 0),
                state=_word(node),
            )
            for node in fleet.nodes
            if not node.decommissioned or plan.load_before.get(node.id)
        ],
        left_out=[
            fleet_pb2.LeftOutEgress(
                egress_id=item.egress_id,
                client_id=fleet.egress[item.egress_id].client_id,
                mailboxes=item.mailboxes,
                reason=item.reason,
            )
            for item in plan.left_out
        ],
        missing_capacity=plan.missing_capacity,
        limit=fleet.limit,
        rebalancing=fleet.order is not None,
    )


def _word(node: NodeNow) -> str:
    if node.decommissioned:
        return "decommissioned"
    if node.fenced:
        return "fenced"
    if not node.held:
        return "new" if node.is_new else "lost"
    if node.draining:
        return "draining"
    return "cordoned" if node.cordoned else "active"
