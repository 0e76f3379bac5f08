"""The best placement there is, by an exact solver: the referee of fleets too large to search.

Egresses of one size on one node that the same nodes reach are alike, so a placement is told by
numbers: how many of each size stay on their node, how many come to it, how many are left out. HiGHS
solves that integer program to the end. For fleets of one priority without bound egresses.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import highspy

from controller.placement import NodeState, Snapshot

# A mailbox left out weighs more than all moves of a fleet together.
_LEFT_OUT = 10_000


@dataclass(frozen=True)
class Best:
    """Mailboxes that have to be left out at least, and then have to move at least."""

    left_out: int
    moved: int


def best(fleet: Snapshot) -> Best:
    """Solves one fleet; raises AssertionError where the solver does not prove its answer."""
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("threads", 1)
    model.setOptionValue("mip_rel_gap", 0.0)
    kinds = Counter((e.mailboxes, e.unreachable_from) for e in fleet.egresses if e.mailboxes)
    homes = Counter((e.node_id, e.mailboxes, e.unreachable_from) for e in fleet.egresses)
    placed: dict[tuple[int, frozenset[str]], list[object]] = {kind: [] for kind in kinds}
    for node in fleet.nodes:
        load = []
        for (size, barred), number in kinds.items():
            if node.id in barred:
                continue
            here = []
            if node.state is not NodeState.LEAVING and homes[node.id, size, barred]:
                here.append(model.addIntegral(ub=homes[node.id, size, barred]))
            if node.state is NodeState.ACTIVE:
                here.append(model.addIntegral(ub=number, obj=size))
            placed[size, barred] += here
            load += [size * variable for variable in here]
        if load:
            model.addConstr(sum(load) <= node.capacity)
    for kind, number in kinds.items():
        left = model.addIntegral(ub=number, obj=_LEFT_OUT * kind[0])
        model.addConstr(sum(placed[kind]) + left == number)
    model.minimize()
    assert model.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return Best(*divmod(round(model.getInfo().objective_function_value), _LEFT_OUT))
