"""Where egresses of lower priority would have to go, so that one of higher priority finds room."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from controller.placement.board import Board
from controller.placement.model import EgressView

# What room is asked for: mailboxes, priority, and the nodes that do not count.
_Kind = tuple[int, int, frozenset[str]]
# Mailboxes that go out, the node, and the node's change at which that was so.
_Way = tuple[int, str, int]


class Weaker:
    """For each size and priority that was asked for, all ways, the cheapest first.

    A way is looked at again only when its node changed, so a thousand egresses that are alike cost
    little more than one.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._ways: dict[_Kind, list[_Way]] = {}
        self._changed = dict.fromkeys(board.nodes, 0)
        self._read = len(board.changes)

    def push_out(self, egress: EgressView) -> list[EgressView] | None:
        """The cheapest egresses of lower priority that make room on one node; None: there are none.

        The board is unchanged.
        """
        self._catch_up()
        kind = (egress.mailboxes, egress.priority, egress.unreachable_from)
        ways = self._ways.get(kind)
        if ways is None:
            ways = self._ways[kind] = [
                way for node in self._board.targets() if (way := self._way(kind, node.id))
            ]
            heapify(ways)
        while ways and self._changed[ways[0][1]] != ways[0][2]:
            heappop(ways)
        return self._out(kind, ways[0][1]) if ways else None

    def _catch_up(self) -> None:
        active = {node.id for node in self._board.targets()}
        for node_id in sorted(set(self._board.changes[self._read :]) & active):
            self._changed[node_id] += 1
            for kind, ways in self._ways.items():
                if way := self._way(kind, node_id):
                    heappush(ways, way)
        self._read = len(self._board.changes)

    def _way(self, kind: _Kind, node_id: str) -> _Way | None:
        out = self._out(kind, node_id)
        if out is None:
            return None
        return sum(egress.mailboxes for egress in out), node_id, self._changed[node_id]

    def _out(self, kind: _Kind, node_id: str) -> list[EgressView] | None:
        """The lowest priorities first, and of those the smallest."""
        mailboxes, priority, unreachable_from = kind
        if node_id in unreachable_from:
            return None
        lack = mailboxes - self._board.free(node_id)
        out: list[EgressView] = []
        here = [e for e in self._board.movable(node_id) if e.priority < priority]
        for other in sorted(here, key=lambda e: (e.priority, e.mailboxes, e.id)):
            if lack <= 0:
                break
            out.append(other)
            lack -= other.mailboxes
        return out if out and lack <= 0 else None
