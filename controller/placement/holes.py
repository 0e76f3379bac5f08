"""The room that is left on active nodes, ordered by size, kept in step with the board."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice

from controller.placement.board import Board
from controller.placement.model import EgressView


class Holes:
    """(free mailboxes, node id) of every active node."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._free = {node.id: board.free(node.id) for node in board.targets()}
        self._order = sorted((free, node_id) for node_id, free in self._free.items())
        self._read = len(board.changes)

    def smallest(self, egress: EgressView) -> str | None:
        """The node with the smallest hole that takes it, of those that reach it."""
        self._catch_up()
        index = bisect_left(self._order, (egress.mailboxes, ""))
        for _, node_id in islice(self._order, index, None):
            if node_id not in egress.unreachable_from:
                return node_id
        return None

    def largest(self, number: int) -> list[tuple[int, str]]:
        """The largest holes, the largest first."""
        return list(islice(self, number))

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """All holes, the largest first. The board must not change meanwhile."""
        self._catch_up()
        return reversed(self._order)

    def _catch_up(self) -> None:
        for node_id in set(self._board.changes[self._read :]):
            if node_id in self._free:
                self._order.pop(bisect_left(self._order, (self._free[node_id], node_id)))
                self._free[node_id] = self._board.free(node_id)
                insort(self._order, (self._free[node_id], node_id))
        self._read = len(self._board.changes)
