"""Plans of placement, and what it says of losses, as protocol messages."""

from __future__ import annotations

from postfleet.v1 import fleet_pb2

from controller.placement import NodeState, Plan, Snapshot
from controller.shards.fleet_now import FleetNow, NodeNow
from controller.shards.survival import Survival


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
                stays_on=item.stays_on or "",
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


def capacity_view(snapshot: Snapshot, survival: Survival) -> fleet_pb2.CapacityReport:
    """What a loss would do, and what to add."""
    addition = survival.addition
    return fleet_pb2.CapacityReport(
        survives=survival.survives,
        mailboxes=sum(egress.mailboxes for egress in snapshot.egresses),
        capacity=sum(n.capacity for n in snapshot.nodes if n.state is NodeState.ACTIVE),
        losses=[
            fleet_pb2.CapacityLoss(
                kind=loss.kind,
                id=loss.id,
                node_ids=loss.nodes,
                mailboxes=loss.load,
                survived=loss.is_survived,
                missing_capacity=loss.missing,
                bound=loss.bound,
                by_client=loss.by_client,
            )
            for loss in survival.losses
        ],
        add_nodes=addition.nodes if addition else 0,
        add_capacity=addition.capacity if addition else 0,
    )
