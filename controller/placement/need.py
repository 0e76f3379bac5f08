"""What has to move, whatever the plan: egresses without a place, and the cheapest way out of nodes
that are over capacity.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.placement.board import Board
from controller.placement.model import EgressView, LeftOut, NodeState
from controller.placement.subset import cheapest


@dataclass
class Need:
    """Egresses to place, each with why; those that cannot be placed at all."""

    movers: list[EgressView] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    impossible: list[LeftOut] = field(default_factory=list)

    def move(self, egress: EgressView, reason: str) -> None:
        self.movers.append(egress)
        self.reasons[egress.id] = reason

    @property
    def mailboxes(self) -> int:
        return sum(egress.mailboxes for egress in self.movers)


def settle(board: Board, *, small_first: bool = False) -> Need:
    """Puts on the board what may stay, and gives the rest.

    Egresses bound to a node go first: they can be nowhere else, so others make room for them.
    `small_first`: of equally cheap ways out of a node, one with small egresses, which fit into
    small holes; else one that spreads clients better.
    """
    need = Need()
    _bound(board, need)
    for egress in board.egresses.values():
        if egress.only_node is None:
            _unbound(board, need, egress)
    for node in board.nodes.values():
        over = -board.free(node.id)
        if over > 0:
            _evict(board, need, node.id, over, small_first)
    return need


def _bound(board: Board, need: Need) -> None:
    bound = [e for e in board.egresses.values() if e.only_node is not None]
    # Those that are there already stay before others come.
    for egress in sorted(bound, key=lambda e: (-e.priority, e.node_id != e.only_node, e.id)):
        node = board.nodes.get(egress.only_node or "")
        at_home = node is not None and egress.node_id == node.id
        if node is None:
            why = f"it is bound to node {egress.only_node}, which does not exist"
        elif node.state is NodeState.LEAVING:
            why = f"it is bound to node {node.id}, which is out of service"
        elif node.state is NodeState.CORDONED and not at_home:
            why = f"it is bound to node {node.id}, which is cordoned"
        elif node.id in egress.unreachable_from and not at_home:
            why = f"it is bound to node {node.id}, which cannot reach its proxy"
        elif board.free(node.id) < egress.mailboxes:
            why = (
                f"it is bound to node {node.id}, which has room for {board.free(node.id)} of its "
                f"{egress.mailboxes} mailboxes"
            )
        else:
            board.put(egress, node.id)
            if not at_home:
                need.reasons[egress.id] = "bound"
            elif node.id in egress.unreachable_from:
                why = f"it is bound to node {node.id}, which cannot reach its proxy"
                need.impossible.append(LeftOut(egress.id, egress.mailboxes, why, node.id))
            continue
        need.impossible.append(LeftOut(egress.id, egress.mailboxes, why))


def _unbound(board: Board, need: Need, egress: EgressView) -> None:
    home = board.nodes.get(egress.node_id or "")
    if home is None:
        need.move(egress, "no-node")
    elif home.state is NodeState.LEAVING:
        need.move(egress, "leaving")
    elif home.id in egress.unreachable_from:
        need.move(egress, "unreachable")
    else:
        board.put(egress, home.id)


def _evict(board: Board, need: Need, node_id: str, over: int, small_first: bool) -> None:
    node = board.nodes[node_id]
    # Where it costs the same, rather low priority, and what its client has much of here.
    candidates = sorted(
        board.movable(node_id),
        key=lambda e: (
            e.priority,
            e.mailboxes if small_first else -board.concentration(e, node),
            e.id,
        ),
    )
    # Bound egresses alone never exceed capacity, so the others suffice.
    for egress in cheapest(candidates, over) or candidates:
        board.take(egress)
        need.move(egress, "over-capacity")
