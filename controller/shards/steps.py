"""What of a plan may be done now. Pure; called again after every change until nothing is left.

What has no node is placed at once, and what its node cannot reach is asked back at once: it sends
nothing. What sends now is asked back a few at a time: not more moves are under way than `limit`,
counted from the asking until the target runs the egress. A node is never
over its capacity, not even in passing: an egress waits until those that leave its target have left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.placement import Move, NodeState, Plan
from controller.shards.fleet_now import EgressNow, FleetNow
from controller.shards.snapshot import place_of


@dataclass(frozen=True, slots=True)
class Step:
    """One egress, the node it is taken from or given to, where it ends, and why."""

    egress_id: str
    mailboxes: int
    node_id: str
    goal: str | None
    reason: str


@dataclass
class Steps:
    """What may be done now, each list in the order in which it should be.

    `withdraw`: taken back from nodes that do not use it. `ask_back`: begins a move. `assign`: free,
    or free when it was withdrawn. `retarget`: egresses on their way and where they go to now.
    `arrived`: moves that are over. `under_way`: moves that count against the limit, those of
    `ask_back` too. `waiting`: moves of the plan that have not begun.
    """

    withdraw: list[Step] = field(default_factory=list)
    ask_back: list[Step] = field(default_factory=list)
    assign: list[Step] = field(default_factory=list)
    retarget: list[tuple[str, str | None]] = field(default_factory=list)
    arrived: list[str] = field(default_factory=list)
    under_way: int = 0
    waiting: int = 0

    @property
    def moved(self) -> set[str]:
        """Egresses for which something begins now."""
        return {step.egress_id for step in (*self.withdraw, *self.ask_back, *self.assign)}

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is to be written."""
        return not (self.moved or self.retarget or self.arrived)


def next_steps(fleet: FleetNow, plan: Plan, states: Mapping[str, NodeState], limit: int) -> Steps:
    """`plan` was made from the snapshot of this `fleet`; `states` are its nodes'."""
    sorting = _Sorting(fleet)
    moves = {move.egress_id: move for move in plan.moves}
    for egress in fleet.egresses:
        move = moves.get(egress.id)
        sorting.take(egress, move, move.to_node if move else place_of(egress, states))
    rank = {move.egress_id: number for number, move in enumerate(plan.moves)}
    # What the plan does not move and is still on its way was begun before: it goes on first.
    sorting.free.sort(key=lambda step: rank.get(step.egress_id, -1))
    sorting.held.sort(key=lambda step: (step.reason == "rebalance", rank.get(step.egress_id, -1)))
    sorting.assign()
    sorting.ask_back(limit)
    return sorting.steps


class _Sorting:
    """Sorts egresses by what can be done for them, counting the room of nodes as it is now."""

    def __init__(self, fleet: FleetNow) -> None:
        self.steps = Steps()
        self.free: list[Step] = []
        self.held: list[Step] = []
        self._coming: Counter[str] = Counter()
        # Moves under way whose egress waits for room, in no node's hands.
        self._stranded = 0
        self._on_its_way: dict[str, bool] = {}
        self._room = Counter({node.id: node.capacity for node in fleet.nodes})
        for egress in fleet.egresses:
            if egress.node_id is not None:
                self._room[egress.node_id] -= egress.mailboxes

    def take(self, egress: EgressNow, move: Move | None, goal: str | None) -> None:
        """Puts one egress where it belongs."""
        here, way = egress.node_id, egress.move
        reason = move.reason if move else (way.reason if way else "no-node")
        if way is not None and way.runs and here == way.to_node and not egress.releasing:
            self.steps.arrived.append(egress.id)
            way = None
        self._on_its_way[egress.id] = way is not None
        if here == goal and here is not None and not egress.releasing:
            self.steps.under_way += way is not None
            return
        if way is not None and way.to_node != goal:
            self.steps.retarget.append((egress.id, goal))
        if here is None:
            self._is_free(egress, goal, reason)
        elif egress.releasing:
            self.steps.under_way += 1
            if goal is not None:
                self._coming[goal] += egress.mailboxes
        elif egress.in_term:
            self.steps.under_way += way is not None
            self.held.append(Step(egress.id, egress.mailboxes, here, goal, reason))
        else:
            self.steps.withdraw.append(Step(egress.id, egress.mailboxes, here, goal, reason))
            self._room[here] += egress.mailboxes
            self._is_free(egress, goal, reason)

    def _is_free(self, egress: EgressNow, goal: str | None, reason: str) -> None:
        if goal is not None:
            self.free.append(Step(egress.id, egress.mailboxes, goal, goal, reason))

    def assign(self) -> None:
        """What is free goes where there is room; where there is none yet, it waits."""
        for step in self.free:
            self.steps.under_way += self._on_its_way[step.egress_id]
            if self._room[step.node_id] >= step.mailboxes:
                self._room[step.node_id] -= step.mailboxes
                self.steps.assign.append(step)
            else:
                self._coming[step.node_id] += step.mailboxes
                self._stranded += self._on_its_way[step.egress_id]

    def ask_back(self, limit: int) -> None:
        """Begins moves: those whose target has room beside all that comes, up to the limit; what
        cannot send where it is counts, and does not wait.

        Where none can begin and nothing is in the hands of a node that could finish, one begins all
        the same: two full nodes would wait for each other for ever.
        """
        room = Counter(self._room)
        room.subtract(self._coming)
        for step in self.held:
            sends = step.reason != "unreachable"
            if self.steps.under_way >= limit and sends and not self._on_its_way[step.egress_id]:
                continue
            if step.goal is None or room[step.goal] >= step.mailboxes:
                if step.goal is not None:
                    room[step.goal] -= step.mailboxes
                self._begin(step)
        if self.held and self.steps.under_way == self._stranded:
            self._begin(self.held[0])
        self.steps.waiting = len(self.held) - len(self.steps.ask_back)

    def _begin(self, step: Step) -> None:
        self.steps.ask_back.append(step)
        self.steps.under_way += not self._on_its_way[step.egress_id]
