"""Places egresses on nodes: hard constraints, then few moves, then even load. Pure, deterministic.

Hard: a node's capacity in mailboxes; nothing new for nodes that are not active; an egress whole; one
bound to a node there or nowhere.
"""

from __future__ import annotations

from controller.placement.model import (
    EgressView,
    LeftOut,
    Move,
    NodeState,
    NodeView,
    Plan,
    Policy,
    Snapshot,
)


def place(snapshot: Snapshot, policy: Policy) -> Plan:  # noqa: ARG001
    """The moves that bring the fleet where it should be; none where it is there already."""
    nodes = {node.id: node for node in sorted(snapshot.nodes, key=lambda node: node.id)}
    load = dict.fromkeys(nodes, 0)
    homeless: list[EgressView] = []
    for egress in sorted(snapshot.egresses, key=lambda egress: egress.id):
        home = nodes.get(egress.node_id or "")
        if home is not None and home.state is not NodeState.LEAVING:
            load[home.id] += egress.mailboxes
        else:
            homeless.append(egress)
    moves, left_out = [], []
    for egress in sorted(homeless, key=lambda e: (-e.priority, -e.mailboxes, e.id)):
        best = _best(egress, nodes, load)
        if best is None:
            left_out.append(LeftOut(egress.id, egress.mailboxes, "no active node has room for it"))
            if egress.node_id is not None:
                moves.append(Move(egress.id, egress.node_id, None, egress.mailboxes))
            continue
        load[best.id] += egress.mailboxes
        moves.append(Move(egress.id, egress.node_id, best.id, egress.mailboxes))
    return Plan(tuple(moves), tuple(left_out), sum(item.mailboxes for item in left_out))


def _best(egress: EgressView, nodes: dict[str, NodeView], load: dict[str, int]) -> NodeView | None:
    candidates = [
        node
        for node in nodes.values()
        if node.state is NodeState.ACTIVE
        and egress.only_node in (None, node.id)
        and load[node.id] + egress.mailboxes <= node.capacity
    ]
    return min(
        candidates,
        key=lambda node: ((load[node.id] + egress.mailboxes) / node.capacity, node.id),
        default=None,
    )
