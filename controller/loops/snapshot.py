"""Rows of the database as placement sees them. Pure.

A node that never had a term is awaited for a while (`awaited`): it is being provisioned, and its
share is ready for it. Later it counts as absent, and its share goes to others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from controller.placement import EgressView, NodeState, NodeView, Snapshot
from controller.store import Row


def is_new(node: Row) -> bool:
    """Whether the node never had a term."""
    return bool(not node["held"] and node["epoch"] == 1 and node["renewals"] == 0)


def node_state(node: Row, awaited: Collection[str]) -> NodeState:
    """What placement may do with a node."""
    absent = not node["held"] and not (is_new(node) and node["id"] in awaited)
    if node["decommissioned"] or absent:
        return NodeState.LEAVING
    return NodeState.CORDONED if node["cordoned"] or node["fenced"] else NodeState.ACTIVE


def build_snapshot(
    nodes: Iterable[Row], egresses: Iterable[Row], awaited: Collection[str]
) -> Snapshot:
    """`awaited`: ids of new nodes to count on. An egress that is being released has no node."""
    return Snapshot(
        nodes=tuple(
            NodeView(
                id=node["id"],
                capacity=node["capacity"],
                state=node_state(node, awaited),
                failure_domain=node["failure_domain"],
                region=node["region"],
            )
            for node in nodes
        ),
        egresses=tuple(
            EgressView(
                id=egress["id"],
                client_id=egress["client_id"],
                mailboxes=egress["mailboxes"],
                node_id=egress["node_id"] if egress["state"] == "assigned" else None,
                only_node=egress["only_node"],
                region=egress["region"],
                priority=egress["priority"],
            )
            for egress in egresses
        ),
    )
