"""The working state of a placement: who is where, how full nodes are, how clients are spread."""

from __future__ import annotations

from collections import defaultdict

from controller.placement.model import EgressView, NodeState, NodeView, Snapshot


class Board:
    """Egresses on nodes. Starts with what is where now and may stay; ids order everything."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.nodes = {node.id: node for node in sorted(snapshot.nodes, key=lambda n: n.id)}
        self.egresses = {e.id: e for e in sorted(snapshot.egresses, key=lambda e: e.id)}
        self.at: dict[str, str] = {}
        self.members: dict[str, dict[str, EgressView]] = {id: {} for id in self.nodes}
        self.load: dict[str, int] = dict.fromkeys(self.nodes, 0)
        # Nodes in the order in which they changed: who keeps a view of them reads on from here.
        self.changes: list[str] = []
        self._on_node: dict[tuple[str, str], int] = defaultdict(int)
        self._on_domain: dict[tuple[str, str], int] = defaultdict(int)
        self._domain_capacity: dict[str, int] = defaultdict(int)
        for node in self.nodes.values():
            self._domain_capacity[node.failure_domain] += node.capacity

    def put(self, egress: EgressView, node_id: str) -> None:
        node = self.nodes[node_id]
        self.at[egress.id] = node_id
        self.members[node_id][egress.id] = egress
        self._count(egress, node, egress.mailboxes)

    def take(self, egress: EgressView) -> str:
        """Removes an egress from where it is; gives the node."""
        node_id = self.at.pop(egress.id)
        del self.members[node_id][egress.id]
        self._count(egress, self.nodes[node_id], -egress.mailboxes)
        return node_id

    def free(self, node_id: str) -> int:
        """Mailboxes that still fit; negative where the node is over capacity."""
        return self.nodes[node_id].capacity - self.load[node_id]

    def takes(self, node_id: str, egress: EgressView) -> bool:
        """Whether a node that may get something has room for it and reaches it."""
        return self.free(node_id) >= egress.mailboxes and node_id not in egress.unreachable_from

    def targets(self) -> list[NodeView]:
        """Nodes that may get something, by id."""
        return [node for node in self.nodes.values() if node.state is NodeState.ACTIVE]

    def movable(self, node_id: str) -> list[EgressView]:
        """What is on a node and bound to none, by id."""
        here = self.members[node_id].values()
        return sorted((e for e in here if e.only_node is None), key=lambda e: e.id)

    def concentration(self, egress: EgressView, node: NodeView) -> float:
        """How much of its client's mail the loss of this node, and of its domain, would stop."""
        on_node = self._on_node[egress.client_id, node.id] / node.capacity
        domain = node.failure_domain
        on_domain = self._on_domain[egress.client_id, domain] / self._domain_capacity[domain]
        return on_node + on_domain

    def _count(self, egress: EgressView, node: NodeView, mailboxes: int) -> None:
        self.changes.append(node.id)
        self.load[node.id] += mailboxes
        self._on_node[egress.client_id, node.id] += mailboxes
        self._on_domain[egress.client_id, node.failure_domain] += mailboxes
