"""Plans made anew between the moves of a plan, in fleets that are nearly full."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from controller.placement import NodeState, Policy, Snapshot, place
from tests.controller.placement.fleets import apply, changed, generated


def tight(dice: random.Random) -> Snapshot:
    return changed(dice, generated(dice, dice.randint(3, 6), dice.randint(10, 40), 3, 0.8))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
@example(523)
@example(587)
def test_each_move_leaves_a_cheaper_plan(seed: int) -> None:
    snapshot = tight(random.Random(seed))
    plan = place(snapshot, Policy())
    assume(not plan.left_out)
    while plan.moves:
        snapshot = apply(snapshot, plan.moves[:1])
        later = place(snapshot, Policy(), plan)
        assert not later.left_out
        assert later.moved <= plan.moved - plan.moves[0].mailboxes
        plan = later


def test_a_plan_is_dropped_when_a_node_it_fills_closes() -> None:
    snapshot = tight(random.Random(1))
    plan = place(snapshot, Policy())
    target = next(move.to_node for move in plan.moves if move.to_node)
    closed = replace(
        snapshot,
        nodes=tuple(
            replace(n, state=NodeState.CORDONED) if n.id == target else n for n in snapshot.nodes
        ),
    )
    assert place(closed, Policy(), plan) == place(closed, Policy())
