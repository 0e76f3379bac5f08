"""A whole fleet on a simulated network and clock: controllers, nodes, receivers.

`do(kind, dice)` makes one step of a kind; `dice` chooses among what is possible. `violations` says
which invariants of DESIGN are hurt, in words.

    fleet             the state, and what receivers saw
    machine, node     a node: what crashes leave of it, and what it does
    postfix, recall   its Postfix with the guard; mail that comes out of its queue again
    tables            the controller's transactions
    steps_…           what may happen next, by who does it
    bugs              faults to plant

Not played: a log that loses lines with the power, and a queue whose last renames are lost.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from tests.whole import invariants, steps_controller, steps_nodes, steps_trouble, steps_wires
from tests.whole.bugs import Bug
from tests.whole.fleet import Fleet, Steps

_KINDS: dict[Callable[[Fleet, random.Random], Steps], float] = {
    steps_trouble.time: 14,
    steps_trouble.long_time: 0.4,
    steps_trouble.freeze: 1.5,
    steps_trouble.trouble: 1.5,
    steps_trouble.ending: 0.3,
    steps_trouble.disaster: 0,
    steps_controller.lead: 8,
    steps_controller.take_over: 3,
    steps_controller.plan: 3,
    steps_controller.operate: 0.1,
    steps_controller.dispatch: 9,
    steps_controller.ask_back: 6,
    steps_controller.cancel: 1.5,
    steps_controller.suspend: 0.3,
    steps_wires.session: 6,
    steps_wires.carry: 15,
    steps_wires.heartbeat: 5,
    steps_wires.round_trip: 14,
    steps_wires.report: 6,
    steps_nodes.agent: 12,
    steps_nodes.recall: 10,
    steps_nodes.hand_over: 6,
    steps_nodes.serve: 9,
    steps_nodes.postfix: 11,
}
KINDS = {step.__name__: often for step, often in _KINDS.items()}
"""The kinds of steps, and how often each comes in a run of dice."""
_STEPS = {step.__name__: step for step in _KINDS}


class Simulation(Fleet):
    def __init__(self, dice: random.Random, bug: Bug = Bug.NONE) -> None:
        super().__init__(dice, bug)
        # How often a step of each kind was made.
        self.done: Counter[str] = Counter()

    def do(self, kind: str, dice: random.Random) -> None:
        """One step; nothing happens where nothing of this kind is possible."""
        possible = _STEPS[kind](self, dice)
        if possible:
            dice.choice(possible)()
            self.done[kind] += 1
        self.cut(dice)

    def violations(self) -> list[str]:
        return invariants.violations(self)


def run(seed: int, steps: int, bug: Bug = Bug.NONE) -> tuple[int, list[str], Simulation]:
    """Runs until something is violated; gives at which step (0: at none), and what."""
    dice = random.Random(seed)
    simulation = Simulation(dice, bug)
    # The weather of this run: some kinds come more often than else, others hardly.
    weights = KINDS | {"disaster": dice.choice([0, 0.3])}
    for kind in dice.sample(sorted(KINDS), 4):
        weights[kind] *= dice.choice([0.2, 4])
    kinds = dice.choices(list(weights), list(weights.values()), k=steps)
    for step, kind in enumerate(kinds, 1):
        simulation.do(kind, dice)
        if found := simulation.violations():
            return step, found, simulation
    return 0, [], simulation
