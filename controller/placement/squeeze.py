"""Makes room where no hole is large enough: moves other egresses aside, as few mailboxes as it can.

Only for fleets that are nearly full: everywhere else the holes suffice. First one, then two
egresses of a node go to holes on other nodes; where even that does not help, egresses of lower
priority go out. Not exhaustive: nothing is exchanged, so in about one of a hundred fleets that are
full to the brim it leaves out an egress or two that a search of all packings would place.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from itertools import combinations, islice

from controller.placement.board import Board
from controller.placement.holes import Holes
from controller.placement.model import EgressView
from controller.placement.need import Need
from controller.placement.pack import by_size
from controller.placement.weaker import Weaker

# Pairs are tried on so many nodes with the largest holes only.
_PAIR_NODES = 64
# An egress to move aside, and the node it goes to.
_Aside = tuple[EgressView, str]
# (free mailboxes, node id), the largest first.
_Sizes = list[tuple[int, str]]


def squeeze(board: Board, need: Need, left: Sequence[EgressView]) -> list[EgressView]:
    """Puts on the board what finds room by any of these means; gives what does not.

    Begins again until nothing changes any more, so that a later call finds nothing to do.
    """
    out = list(left)
    while out:
        before = len(board.changes)
        out = _Squeeze(board, need).each(out)
        if len(board.changes) == before:
            break
    return out


class _Squeeze:
    """One round over what is left."""

    def __init__(self, board: Board, need: Need) -> None:
        self._board = board
        self._need = need
        self._holes = Holes(board)
        self._weaker = Weaker(board)
        # The three largest holes at which making room failed, by the mailboxes it was for and the
        # nodes that do not reach them. With none larger it is not tried again in this round.
        self._failed_at: dict[tuple[int, frozenset[str]], list[int]] = {}

    def each(self, left: Sequence[EgressView]) -> list[EgressView]:
        waiting, out = by_size(left), []
        hopeless: dict[int, int] = {}
        while waiting:
            egress = waiting.pop(0)
            # Where a smaller egress of this priority that any node reaches found no room, this one
            # finds none.
            if egress.mailboxes >= hopeless.get(egress.priority, egress.mailboxes + 1):
                out.append(egress)
            elif not self._fits(egress):
                weaker = self._weaker.push_out(egress)
                if weaker is None:
                    if not egress.unreachable_from:
                        hopeless[egress.priority] = egress.mailboxes
                    out.append(egress)
                    continue
                self._replace(egress, weaker)
                waiting = by_size([*waiting, *weaker])
                hopeless.clear()
        return out

    def _fits(self, egress: EgressView) -> bool:
        """Puts it into a hole, or moves others aside for it; False: neither can be done."""
        node_id = self._holes.smallest(egress)
        if node_id is None:
            aside = self._make_room(egress)
            if aside is None:
                return False
            for other, target in aside:
                node_id = self._board.take(other)
                self._board.put(other, target)
                self._need.reasons.setdefault(other.id, "make-room")
        assert node_id is not None
        self._board.put(egress, node_id)
        return True

    def _replace(self, egress: EgressView, weaker: Sequence[EgressView]) -> None:
        node_id = ""
        for other in weaker:
            node_id = self._board.take(other)
            self._need.reasons.setdefault(other.id, "make-room")
        self._board.put(egress, node_id)

    def _make_room(self, egress: EgressView) -> list[_Aside] | None:
        """What to move aside so that it finds room on its node; None: nothing helps."""
        largest = self._holes.largest(3)
        sizes = [free for free, _ in largest]
        kind = egress.mailboxes, egress.unreachable_from
        failed = self._failed_at.get(kind)
        grown = failed is None or any(map(int.__gt__, sizes, failed))
        if sum(sizes) < egress.mailboxes or not grown:
            return None
        aside = self._one_aside(egress, largest) or self._two_aside(egress, largest)
        if aside is None:
            self._failed_at[kind] = sizes
        return aside

    def _one_aside(self, egress: EgressView, largest: _Sizes) -> list[_Aside] | None:
        best: tuple[int, str, list[_Aside]] | None = None
        for free, node_id in self._holes:
            lack = egress.mailboxes - free
            if best is not None and lack >= best[0]:
                break
            if node_id in egress.unreachable_from:
                continue
            for one in self._board.movable(node_id):
                if one.mailboxes < lack or (best is not None and one.mailboxes >= best[0]):
                    continue
                if target := _hole(largest, one.mailboxes, {node_id} | one.unreachable_from):
                    best = one.mailboxes, one.id, [(one, target)]
        return best[2] if best else None

    def _two_aside(self, egress: EgressView, largest: _Sizes) -> list[_Aside] | None:
        best: tuple[int, str, list[_Aside]] | None = None
        for free, node_id in islice(self._holes, _PAIR_NODES):
            lack = egress.mailboxes - free
            if best is not None and lack >= best[0]:
                break
            if node_id in egress.unreachable_from:
                continue
            for one, two in combinations(self._board.movable(node_id), 2):
                both = one.mailboxes + two.mailboxes
                if both < lack or (best is not None and both >= best[0]):
                    continue
                if targets := _two_holes(largest, one, two, node_id):
                    best = both, one.id, [(one, targets[0]), (two, targets[1])]
        return best[2] if best else None


def _hole(holes: _Sizes, mailboxes: int, without: Set[str]) -> str | None:
    for free, node_id in holes:
        if node_id not in without and free >= mailboxes:
            return node_id
    return None


def _two_holes(
    holes: _Sizes, first: EgressView, second: EgressView, home: str
) -> tuple[str, str] | None:
    barred = {home} | first.unreachable_from | second.unreachable_from
    together = _hole(holes, first.mailboxes + second.mailboxes, barred)
    if together:
        return together, together
    large, small = (first, second) if first.mailboxes >= second.mailboxes else (second, first)
    one = _hole(holes, large.mailboxes, {home} | large.unreachable_from)
    other = _hole(holes, small.mailboxes, {home, one} | small.unreachable_from) if one else None
    if not one or not other:
        return None
    return (one, other) if large is first else (other, one)
