"""The fleet as placement sees it. Pure.

A node that never had a term is awaited for a while: it is being provisioned, and its share is ready
for it. Later it counts as absent, and its share goes to others. An egress on its way counts as
being where it goes to, as long as it may: so a plan that is made in the middle of a move holds on
to it, and its room is not given away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from controller.placement import EgressView, NodeState, NodeView, Snapshot
from controller.shards.fleet_now import EgressNow, FleetNow, NodeNow
from controller.shards.reach import judge

# How long a node that is in the inventory and never connected is counted on.
JOIN_GRACE_S = 600.0


def is_awaited(node: NodeNow, join_grace_s: float) -> bool:
    """Whether a node that is not there yet is counted on."""
    return node.is_new and not node.fenced and node.age_s < join_grace_s


def node_state(node: NodeNow, join_grace_s: float) -> NodeState:
    """What placement may do with a node."""
    absent = not node.held and not is_awaited(node, join_grace_s)
    if absent or node.decommissioned or node.draining:
        return NodeState.LEAVING
    return NodeState.CORDONED if node.is_closed else NodeState.ACTIVE


def holds_for_s(fleet: FleetNow, join_grace_s: float) -> float:
    """After how many seconds a node stops being awaited or a mark is over, if nothing else changes;
    else infinity."""
    awaited = [node for node in fleet.nodes if is_awaited(node, join_grace_s)]
    ends = [join_grace_s - node.age_s for node in awaited] + [mark.left_s for mark in fleet.marks]
    return min(ends, default=math.inf)


def node_states(fleet: FleetNow, join_grace_s: float) -> dict[str, NodeState]:
    """The states of all nodes by id. One that is cut off from the proxies gets nothing more."""
    states = {node.id: node_state(node, join_grace_s) for node in fleet.nodes}
    for node_id in judge(fleet).cut_off:
        if states.get(node_id) is NodeState.ACTIVE:
            states[node_id] = NodeState.CORDONED
    return states


def place_of(egress: EgressNow, states: Mapping[str, NodeState]) -> str | None:
    """The node on which an egress counts: where it goes to, else where it is and may stay."""
    if egress.move is not None and egress.move.to_node is not None:
        to_node = egress.move.to_node
        if states.get(to_node) is NodeState.ACTIVE:
            return to_node
    return None if egress.releasing else egress.node_id


def build_snapshot(fleet: FleetNow, join_grace_s: float = JOIN_GRACE_S) -> Snapshot:
    """What `place` looks at."""
    states, reach = node_states(fleet, join_grace_s), judge(fleet)
    places = {egress.id: place_of(egress, states) for egress in fleet.egresses}
    return Snapshot(
        nodes=tuple(
            NodeView(node.id, node.capacity, states[node.id], node.failure_domain, node.region)
            for node in fleet.nodes
        ),
        egresses=tuple(
            EgressView(
                id=egress.id,
                client_id=egress.client_id,
                mailboxes=egress.mailboxes,
                node_id=places[egress.id],
                only_node=egress.only_node,
                region=egress.region,
                priority=egress.priority,
                unreachable_from=reach.unreachable_from(egress.id, places[egress.id]),
            )
            for egress in fleet.egresses
        ),
    )
