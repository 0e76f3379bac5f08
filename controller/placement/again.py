"""Holds on to a plan that is being carried out.

In a fleet that is nearly full a plan moves some egresses aside for others. Made anew after each of
its moves it could find another way at the same cost, and move the same egress to and fro for ever.
What is left of the plan before is a plan too, and cheaper by what was moved: so each one costs less
than the one before, and the last nothing.
"""

from __future__ import annotations

from controller.placement.board import Board
from controller.placement.model import EgressView, NodeState, Plan
from controller.placement.need import Need


def follow(board: Board, need: Need, before: Plan) -> list[EgressView] | None:
    """Puts on a settled board what `before` still wants moved; gives the movers it is silent on.

    None: it cannot be followed any more, since a node has closed, shrunk or filled up, or does not
    reach what it was to get. The board is of no use then.
    """
    wanted = [
        (board.egresses[move.egress_id], move.to_node)
        for move in before.moves
        if move.egress_id in board.egresses and move.to_node and move.reason != "rebalance"
    ]
    for egress, to_node in wanted:
        node = board.nodes.get(to_node)
        if egress.only_node is not None or node is None or node.state is not NodeState.ACTIVE:
            return None
        if node.id in egress.unreachable_from:
            return None
        if egress.id in board.at:
            board.take(egress)
    for egress, to_node in wanted:
        if board.free(to_node) < egress.mailboxes:
            return None
        board.put(egress, to_node)
        need.reasons.setdefault(egress.id, "make-room")
    return [egress for egress in need.movers if egress.id not in board.at]
