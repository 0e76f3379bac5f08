"""Makes room where no hole is large enough: moves other egresses aside, as few mailboxes as it can.

Only for fleets that are nearly full: everywhere else the holes suffice. First one, then two
egresses of a node go to holes on other nodes; where even that does not help, an egress of lower
priority goes out. Not exhaustive: it may leave out what a search of all packings would place.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from controller.placement.board import Board
from controller.placement.model import EgressView

# Pairs are tried on so many nodes with the largest holes only.
_PAIR_NODES = 64


def make_room(board: Board, egress: EgressView) -> list[tuple[EgressView, str]] | None:
    """Egresses to move aside with where to, so that `egress` fits on their node; None: impossible.

    The board is unchanged.
    """
    best: tuple[tuple[int, int, str], list[tuple[EgressView, str]]] | None = None
    for cost, moves in _ways(board, egress):
        if best is None or cost < best[0]:
            best = cost, moves
    return best[1] if best else None


def _ways(
    board: Board, egress: EgressView
) -> Iterator[tuple[tuple[int, int, str], list[tuple[EgressView, str]]]]:
    holes = sorted(
        ((board.free(node.id), node.id) for node in board.targets()), key=lambda h: (-h[0], h[1])
    )
    total = sum(free for free, _ in holes)
    if total < egress.mailboxes:
        return
    largest = holes[:3]
    found = False
    for free, node_id in holes:
        lack = egress.mailboxes - free
        for one in board.movable(node_id):
            target = _hole(largest, one.mailboxes, {node_id})
            if one.mailboxes >= lack and target:
                found = True
                yield (one.mailboxes, 1, one.id), [(one, target)]
    if found:
        return
    for free, node_id in holes[:_PAIR_NODES]:
        lack = egress.mailboxes - free
        for first, second in combinations(board.movable(node_id), 2):
            size = first.mailboxes + second.mailboxes
            if size < lack:
                continue
            targets = _two_holes(largest, first.mailboxes, second.mailboxes, node_id)
            if targets:
                yield (size, 2, first.id), [(first, targets[0]), (second, targets[1])]


def _hole(holes: list[tuple[int, str]], size: int, without: set[str]) -> str | None:
    for free, node_id in holes:
        if node_id not in without and free >= size:
            return node_id
    return None


def _two_holes(
    holes: list[tuple[int, str]], first: int, second: int, home: str
) -> tuple[str, str] | None:
    together = _hole(holes, first + second, {home})
    if together:
        return together, together
    large, small = max(first, second), min(first, second)
    one = _hole(holes, large, {home})
    other = _hole(holes, small, {home, one}) if one else None
    if not one or not other:
        return None
    return (one, other) if first >= second else (other, one)


def lower_priority(board: Board, egress: EgressView) -> list[EgressView] | None:
    """Egresses of lower priority that, gone, make room for `egress` on one node; None: none do."""
    best: tuple[int, str, list[EgressView]] | None = None
    for node in board.targets():
        lack = egress.mailboxes - board.free(node.id)
        weaker = sorted(
            (e for e in board.movable(node.id) if e.priority < egress.priority),
            key=lambda e: (e.priority, e.mailboxes, e.id),
        )
        out: list[EgressView] = []
        for other in weaker:
            if lack <= 0:
                break
            out.append(other)
            lack -= other.mailboxes
        if lack <= 0 and out:
            cost = sum(e.mailboxes for e in out)
            if best is None or (cost, node.id) < best[:2]:
                best = cost, node.id, out
    return best[2] if best else None
