"""What a fleet lacks for egresses that found no place on a board, in mailboxes and in words."""

from __future__ import annotations

from collections.abc import Sequence

from controller.placement.board import Board
from controller.placement.model import EgressView, LeftOut


def missing_capacity(board: Board, left: Sequence[EgressView]) -> int:
    """Mailboxes of capacity that would have to be added, at least.

    An egress that no active node reaches counts too, unless one has room: what is missing for that
    one is a way to its proxy.
    """
    holes = {node.id: max(0, board.free(node.id)) for node in board.targets()}
    largest = max(holes.values(), default=0)
    short = [e for e in left if e.mailboxes > largest or _largest_hole(holes, e) is not None]
    if not short:
        return 0
    wanted = [egress.mailboxes for egress in short]
    most = max(e.mailboxes - (_largest_hole(holes, e) or 0) for e in short)
    return max(0, sum(wanted) - sum(holes.values()), most)


def words_for(board: Board, left: Sequence[EgressView]) -> list[LeftOut]:
    """Each with the reason."""
    holes = {node.id: max(0, board.free(node.id)) for node in board.targets()}
    return [LeftOut(egress.id, egress.mailboxes, _reason(holes, egress)) for egress in left]


def _reason(holes: dict[str, int], egress: EgressView) -> str:
    largest = _largest_hole(holes, egress)
    if not egress.unreachable_from or not holes:
        return f"no active node has room for it (the largest hole takes {largest or 0} mailboxes)"
    nodes = ", ".join(sorted(egress.unreachable_from))
    if largest is None:
        return f"no active node reaches its proxy ({nodes} cannot)"
    return (
        f"no active node that reaches its proxy has room for it ({nodes} cannot reach it; on the "
        f"others the largest hole takes {largest} mailboxes)"
    )


def _largest_hole(holes: dict[str, int], egress: EgressView) -> int | None:
    """None: no active node reaches it."""
    reached = (free for node_id, free in holes.items() if node_id not in egress.unreachable_from)
    return max(reached, default=None)
