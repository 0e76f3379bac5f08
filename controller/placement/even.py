"""Evens the load out by moving as few mailboxes as that takes: for `shard rebalance`.

A node is even within a band around its share (total load by capacity). Nodes above give the
cheapest set that brings them into the band; nodes below are filled; nobody leaves the band.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.placement.board import Board
from controller.placement.model import EgressView, NodeView
from controller.placement.subset import cheapest


@dataclass(frozen=True)
class _Band:
    node: NodeView
    low: float
    high: float


def shed(board: Board, tolerance: int | None) -> tuple[list[EgressView], int]:
    """Takes from the board what should move elsewhere, none where all nodes are even.

    Gives that, and how many mailboxes have to move at least, whatever is chosen.
    """
    bands = _bands(board, tolerance)
    taken: list[EgressView] = []
    for band in bands:
        over = board.load[band.node.id] - band.high
        if over > 0:
            taken += _take(board, band.node, over)
    lacking = sum(max(0.0, band.low - board.load[band.node.id]) for band in bands)
    over_all = sum(egress.mailboxes for egress in taken)
    least = max(over_all, math.ceil(lacking))
    lacking -= over_all
    # The rest comes from those that are furthest above their share.
    givers = sorted(bands, key=lambda b: (-(board.load[b.node.id] - b.low), b.node.id))
    for band in givers:
        if lacking <= 0:
            break
        spare = board.load[band.node.id] - (band.low + band.high) / 2
        given = _take(board, band.node, min(lacking, spare))
        taken += given
        lacking -= sum(egress.mailboxes for egress in given)
    return taken, least


def unevenness(board: Board, tolerance: int | None) -> float:
    """Mailboxes outside the bands of their nodes, too many or too few; 0 where all are even."""
    return sum(
        max(0.0, board.load[band.node.id] - band.high, band.low - board.load[band.node.id])
        for band in _bands(board, tolerance)
    )


def _bands(board: Board, tolerance: int | None) -> list[_Band]:
    nodes = board.targets()
    if len(nodes) < 2:
        return []
    load = sum(board.load[node.id] for node in nodes)
    capacity = sum(node.capacity for node in nodes)
    slack = tolerance if tolerance is not None else _largest(board)
    shares = [(node, load * node.capacity / capacity) for node in nodes]
    return [_Band(node, share - slack, share + slack) for node, share in shares]


def _take(board: Board, node: NodeView, mailboxes: float) -> list[EgressView]:
    least = math.ceil(mailboxes)
    if least <= 0:
        return []
    candidates = sorted(board.movable(node.id), key=lambda e: (-board.concentration(e, node), e.id))
    chosen = cheapest(candidates, least) or []
    for egress in chosen:
        board.take(egress)
    return chosen


def _largest(board: Board) -> int:
    return max((e.mailboxes for e in board.egresses.values()), default=0)
