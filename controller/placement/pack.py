"""Puts egresses on nodes with room: evenly and well spread, or, where room is tight, densely.

Neither moves anything else. What found no place is given back.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

from controller.placement.board import Board
from controller.placement.model import EgressView, NodeView

# So many of the emptiest nodes are compared for spread and region; all, in a small fleet.
_WINDOW = 24


def by_size(egresses: Iterable[EgressView]) -> list[EgressView]:
    """The order in which to place: priority, then what is hardest to fit: few nodes, large ones."""
    return sorted(
        egresses, key=lambda e: (-e.priority, -len(e.unreachable_from), -e.mailboxes, e.id)
    )


def pack_evenly(board: Board, egresses: Sequence[EgressView]) -> list[EgressView]:
    """Fills nodes towards one level of load, choosing among the emptiest by spread, then region."""
    room = _Room(board, sum(egress.mailboxes for egress in egresses))
    return [egress for egress in by_size(egresses) if not room.take_in(egress)]


def pack_densely(board: Board, egresses: Sequence[EgressView]) -> list[EgressView]:
    """Best fit decreasing: each into the smallest hole that takes it."""
    holes = sorted((board.free(node.id), node.id) for node in board.targets())
    left: list[EgressView] = []
    for egress in by_size(egresses):
        index = bisect_left(holes, (egress.mailboxes, ""))
        while index < len(holes) and holes[index][1] in egress.unreachable_from:
            index += 1
        if index == len(holes):
            left.append(egress)
            continue
        free, node_id = holes.pop(index)
        board.put(egress, node_id)
        insort(holes, (free - egress.mailboxes, node_id))
    return left


class _Room:
    """Active nodes ordered by how far they are below the level that all will reach."""

    def __init__(self, board: Board, mailboxes: int) -> None:
        self._board = board
        nodes = board.targets()
        self._level = water_level([(board.load[n.id], n.capacity) for n in nodes], mailboxes)
        # (-mailboxes below the level, id), the emptiest first.
        self._order = sorted((self._above(node), node.id) for node in nodes)

    def take_in(self, egress: EgressView) -> bool:
        """Places one egress; False where it fits nowhere."""
        best = self._best(egress)
        if best is None:
            return False
        node = self._board.nodes[best[1]]
        self._order.pop(bisect_left(self._order, best))
        self._board.put(egress, node.id)
        insort(self._order, (self._above(node), node.id))
        return True

    def _above(self, node: NodeView) -> float:
        return self._board.load[node.id] - self._level * node.capacity

    def _best(self, egress: EgressView) -> tuple[float, str] | None:
        board, size = self._board, egress.mailboxes
        # Those that stay below the level, best spread first; or, where none does, the emptiest.
        window: list[tuple[tuple[float, float, bool, float, str], tuple[float, str]]] = []
        for entry in self._order:
            above, node_id = entry
            if not board.takes(node_id, egress):
                continue
            rise = max(0.0, above + size)
            if window and rise > window[0][0][0]:
                break
            node = board.nodes[node_id]
            elsewhere = egress.region is not None and node.region != egress.region
            concentration = board.concentration(egress, node)
            window.append(((rise, concentration, elsewhere, above, node_id), entry))
            if len(window) == _WINDOW:
                break
        return min(window)[1] if window else None


def water_level(nodes: Sequence[tuple[int, int]], mailboxes: int) -> float:
    """The load per capacity that the emptiest nodes reach together by taking `mailboxes`.

    `nodes`: (load, capacity). Nodes above the level get nothing. 0 where there are no nodes.
    """
    load = capacity = 0
    level = 0.0
    for node_load, node_capacity in sorted(nodes, key=lambda n: n[0] / n[1]):
        if capacity and node_load / node_capacity >= level:
            break
        load += node_load
        capacity += node_capacity
        level = (load + mailboxes) / capacity
    return level
