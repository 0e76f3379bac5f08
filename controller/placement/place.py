"""Places egresses on nodes. Pure and deterministic; a second call on its result moves nothing.

Hard: a node's capacity in mailboxes; nothing new for nodes that are not active; an egress moves
whole; one that is bound to a node is there or nowhere; none goes to a node that cannot reach it,
and one that is on such a node leaves it, unless no other takes it and nobody needs its room. Then,
in this order: fewest mailboxes moved, load even, each client spread over nodes and failure domains,
region.

Only what must move moves, and the moved mailboxes are the lower bound wherever the holes of the
fleet take the egresses as they are; `squeeze` finds room in fleets that are nearly full, and there
`again` holds on to a plan that is being carried out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from controller.placement.again import follow
from controller.placement.board import Board
from controller.placement.even import shed, unevenness
from controller.placement.left import missing_capacity, words_for
from controller.placement.model import EgressView, Move, Plan, Policy, Snapshot
from controller.placement.need import Need, settle
from controller.placement.pack import by_size, pack_densely, pack_evenly
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
    board = attempt.board
    missing, nowhere = missing_capacity(board, attempt.left), words_for(board, attempt.left)
    # Only now: whoever can send from where it was comes first.
    staying = _stay(attempt)
    nowhere = [replace(item, stays_on=staying.get(item.egress_id)) for item in nowhere]
    left_out = tuple(sorted([*attempt.need.impossible, *nowhere], key=lambda i: i.egress_id))
    return Plan(
        moves=_moves(board, attempt.need),
        left_out=left_out,
        missing_capacity=missing,
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
    """Never leaves anything out: what finds no better place stays where it was.

    Where not every node reaches every egress, the first round may not do; one that makes nothing
    more even is undone, so that a later call finds nothing to do.
    """
    board, rounds = attempt.board, 0
    outside = unevenness(board, policy.tolerance)
    while outside > 0:
        was_at = dict(board.at)
        moved, least = shed(board, policy.tolerance)
        for egress in pack_evenly(board, moved):
            board.put(egress, was_at[egress.id])
        now_outside = unevenness(board, policy.tolerance)
        if now_outside >= outside:
            for egress in moved:
                board.take(egress)
                board.put(egress, was_at[egress.id])
            break
        for egress in moved:
            attempt.need.reasons.setdefault(egress.id, "rebalance")
        attempt.lower_bound += 0 if rounds else least
        outside, rounds = now_outside, rounds + 1


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


def _stay(attempt: _Attempt) -> dict[str, str]:
    """Puts back what only left its node because that does not reach it, as long as there is room.

    It is probed from there, and sends again as soon as it can be reached.
    """
    board, staying = attempt.board, {}
    for egress in by_size(attempt.left):
        home = egress.node_id
        unreachable = attempt.need.reasons.get(egress.id) == "unreachable"
        if home is not None and unreachable and board.free(home) >= egress.mailboxes:
            board.put(egress, home)
            staying[egress.id] = home
    return staying


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


def _load_before(snapshot: Snapshot) -> dict[str, int]:
    load = {node.id: 0 for node in sorted(snapshot.nodes, key=lambda node: node.id)}
    for egress in snapshot.egresses:
        if egress.node_id in load:
            load[egress.node_id] += egress.mailboxes
    return load
