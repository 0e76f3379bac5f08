"""Places egresses on nodes. Pure and deterministic; a second call on its result moves nothing.

Hard: a node's capacity in mailboxes; nothing new for nodes that are not active; an egress moves
whole; one that is bound to a node is there or nowhere. Then, in this order: fewest mailboxes moved,
load even, each client spread over nodes and failure domains, region.

Only what must move moves, and the moved mailboxes are the lower bound wherever the holes of the
fleet take the egresses as they are; `squeeze` finds room in fleets that are nearly full, and there
`again` holds on to a plan that is being carried out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from controller.placement.again import follow
from controller.placement.board import Board
from controller.placement.even import shed
from controller.placement.model import EgressView, LeftOut, Move, Plan, Policy, Snapshot
from controller.placement.need import Need, settle
from controller.placement.pack import pack_densely, pack_evenly
from controller.placement.squeeze import squeeze


def place(snapshot: Snapshot, policy: Policy, before: Plan | None = None) -> Plan:
    """The moves that bring the fleet where it should be; none where it is there already.

    `before`: the plan that is being carried out. Given it, calls between its moves come to an end
    in a fleet that is nearly full, too.
    """
    attempt = _attempt(snapshot, small_first=False)
    if attempt.is_tight:
        attempt = min(_others(snapshot, attempt, before), key=_Attempt.cost)
    if policy.rebalance and not attempt.left:
        _rebalance(attempt, policy)
    board, left_out = attempt.board, _left_out(attempt)
    return Plan(
        moves=_moves(board, attempt.need),
        left_out=left_out,
        missing_capacity=_missing(board, attempt.left),
        lower_bound=0 if left_out else attempt.lower_bound,
        load_before=_load_before(snapshot),
        load_after=dict(board.load),
    )


@dataclass
class _Attempt:
    """One way to place everything: the board afterwards, and what found no place on it."""

    board: Board
    need: Need
    left: list[EgressView]
    lower_bound: int

    @property
    def is_tight(self) -> bool:
        """Whether more had to be done than to fill holes."""
        return bool(self.left) or self.moved > self.lower_bound

    @property
    def moved(self) -> int:
        at = self.board.at
        return sum(e.mailboxes for e in self.board.egresses.values() if at.get(e.id) != e.node_id)

    def cost(self) -> tuple[int, int]:
        """Less is better."""
        return sum(egress.mailboxes for egress in self.left), self.moved


def _others(snapshot: Snapshot, first: _Attempt, before: Plan | None) -> Iterator[_Attempt]:
    """What may come out better than `first`; of equals the earlier counts."""
    if before is not None and (again := _attempt_again(snapshot, before)):
        yield again
    yield first
    if "over-capacity" in first.need.reasons.values():
        # Another way out of over-full nodes may fit better.
        yield _attempt(snapshot, small_first=True)


def _attempt_again(snapshot: Snapshot, before: Plan) -> _Attempt | None:
    board = Board(snapshot)
    need = settle(board)
    lower_bound = _lower_bound(board, need)
    rest = follow(board, need, before)
    if rest is None:
        return None
    left = squeeze(board, need, pack_densely(board, rest))
    return _Attempt(board, need, left, lower_bound)


def _attempt(snapshot: Snapshot, *, small_first: bool) -> _Attempt:
    board = Board(snapshot)
    need = settle(board, small_first=small_first)
    lower_bound = _lower_bound(board, need)
    return _Attempt(board, need, _pack(board, need), lower_bound)


def _lower_bound(board: Board, need: Need) -> int:
    bound = sum(board.egresses[id].mailboxes for id, why in need.reasons.items() if why == "bound")
    return need.mailboxes + bound


def _rebalance(attempt: _Attempt, policy: Policy) -> None:
    """Never leaves anything out: what finds no better place stays where it was."""
    board = attempt.board
    moved, least = shed(board, policy.tolerance)
    attempt.lower_bound += least
    for egress in moved:
        attempt.need.reasons.setdefault(egress.id, "rebalance")
    for egress in pack_evenly(board, moved):
        board.put(egress, egress.node_id or "")


def _pack(board: Board, need: Need) -> list[EgressView]:
    """Places the movers: evenly if that works, else densely, else by moving others aside."""
    left = pack_evenly(board, need.movers)
    if not left:
        return []
    room = sum(board.free(node.id) for node in board.targets())
    if room >= min(egress.mailboxes for egress in left):
        for egress in need.movers:
            if egress.id in board.at:
                board.take(egress)
        left = pack_densely(board, need.movers)
    return squeeze(board, need, left)


def _moves(board: Board, need: Need) -> tuple[Move, ...]:
    """What makes room comes first."""
    moves = [
        Move(
            e.id,
            e.node_id,
            board.at.get(e.id),
            e.mailboxes,
            need.reasons.get(e.id, "no-room") if e.id in board.at else "no-room",
        )
        for e in board.egresses.values()
        if e.node_id != board.at.get(e.id)
    ]
    rank = {"make-room": 0, "over-capacity": 1, "no-room": 1}
    return tuple(sorted(moves, key=lambda m: (rank.get(m.reason, 2), m.egress_id)))


def _left_out(attempt: _Attempt) -> tuple[LeftOut, ...]:
    board = attempt.board
    largest = max((board.free(node.id) for node in board.targets()), default=0)
    reason = f"no active node has room for it (the largest hole takes {max(largest, 0)} mailboxes)"
    nowhere = [LeftOut(egress.id, egress.mailboxes, reason) for egress in attempt.left]
    return tuple(sorted([*attempt.need.impossible, *nowhere], key=lambda item: item.egress_id))


def _missing(board: Board, left: Sequence[EgressView]) -> int:
    """Mailboxes of capacity that would have to be added, at least."""
    if not left:
        return 0
    holes = [max(0, board.free(node.id)) for node in board.targets()]
    wanted = [egress.mailboxes for egress in left]
    return max(sum(wanted) - sum(holes), max(wanted) - max(holes, default=0))


def _load_before(snapshot: Snapshot) -> dict[str, int]:
    load = {node.id: 0 for node in sorted(snapshot.nodes, key=lambda node: node.id)}
    for egress in snapshot.egresses:
        if egress.node_id in load:
            load[egress.node_id] += egress.mailboxes
    return load
