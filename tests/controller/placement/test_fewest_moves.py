"""The number of moved mailboxes: against the lower bound, and against a search of everything."""

from __future__ import annotations

import random

import pytest

from controller.placement import EgressView, NodeState, NodeView, Policy, Snapshot, place
from tests.controller.placement.fleets import changed, cut, generated, violations


def fewest(fleet: Snapshot) -> int | None:
    """Mailboxes that the best of all assignments moves; None: not everything can be placed."""
    nodes = {n.id: n for n in fleet.nodes}
    room = {n.id: n.capacity for n in fleet.nodes}
    order = sorted(fleet.egresses, key=lambda e: -e.mailboxes)
    best: list[int | None] = [None]

    def search(index: int, moved: int) -> None:
        if best[0] is not None and moved >= best[0]:
            return
        if index == len(order):
            best[0] = moved
            return
        egress = order[index]
        for id in sorted(nodes, key=lambda id: id != egress.node_id):
            stays = id == egress.node_id
            state = nodes[id].state
            if state is NodeState.LEAVING or (state is NodeState.CORDONED and not stays):
                continue
            if id in egress.unreachable_from:
                continue
            if egress.only_node not in (None, id) or room[id] < egress.mailboxes:
                continue
            room[id] -= egress.mailboxes
            search(index + 1, moved + (0 if stays else egress.mailboxes))
            room[id] += egress.mailboxes

    search(0, 0)
    return best[0]


def small(dice: random.Random) -> Snapshot:
    """A few egresses on a few nodes, nearly full, some bound, wherever they happen to be."""
    nodes = tuple(
        NodeView(
            f"n{i}",
            dice.randint(8, 24),
            dice.choices(list(NodeState), weights=[6, 1, 1])[0],
            f"fd{i}",
        )
        for i in range(dice.randint(2, 4))
    )
    room = {node.id: node.capacity for node in nodes}
    egresses = []
    for i in range(dice.randint(3, 8)):
        size = dice.randint(1, 10)
        at = dice.choice([None, *room])
        if at and room[at] + dice.choice([0, 0, 4]) < size:
            at = None
        if at:
            room[at] -= size
        bound = dice.choice([*room]) if dice.random() < 0.1 else None
        egresses.append(EgressView(f"e{i}", "c", size, at, bound))
    return Snapshot(nodes, tuple(egresses))


@pytest.mark.parametrize("is_cut", [False, True], ids=["whole", "cut"])
def test_small_fleets_are_as_good_as_the_best_assignment_there_is(is_cut: bool) -> None:
    compared = worse = left_out = 0
    for seed in range(1500):
        dice = random.Random(seed)
        fleet = cut(dice, small(dice)) if is_cut else small(dice)
        best = fewest(fleet)
        plan = place(fleet, Policy())
        assert not violations(fleet, plan), seed
        if best is None:
            assert plan.left_out, seed
            continue
        compared += 1
        if plan.left_out:
            left_out += 1
            continue
        assert plan.moved >= best >= plan.lower_bound, seed
        assert plan.moved <= best + 10, seed
        worse += plan.moved > best
    assert compared > 500
    # Nearly full on purpose: real fleets have more and smaller egresses to a node.
    assert worse <= compared * 0.01, (worse, compared)
    assert left_out <= compared * (0.015 if is_cut else 0.01), (left_out, compared)


def test_generated_fleets_move_no_more_than_the_lower_bound() -> None:
    exact = compared = 0
    for seed in range(1000):
        dice = random.Random(seed)
        fleet = changed(
            dice,
            generated(
                dice, dice.randint(2, 12), dice.randint(10, 150), dice.randint(1, 6),
                dice.uniform(0.5, 0.86),
            ),
        )  # fmt: skip
        plan = place(fleet, Policy())
        assert not violations(fleet, plan), seed
        if plan.left_out:
            continue
        compared += 1
        exact += plan.moved == plan.lower_bound
        assert plan.moved <= plan.lower_bound + 10, seed
    assert compared > 700
    assert exact >= 0.99 * compared, (exact, compared)


def test_rebalancing_moves_no_more_than_evenness_takes() -> None:
    exact = 0
    for seed in range(300):
        dice = random.Random(seed)
        fleet = changed(dice, generated(dice, dice.randint(2, 10), 100, 4, dice.uniform(0.5, 0.8)))
        plan = place(fleet, Policy(rebalance=True))
        assert not violations(fleet, plan), seed
        assert plan.left_out or plan.moved <= plan.lower_bound + 10, seed
        exact += plan.left_out != () or plan.moved == plan.lower_bound
    assert exact >= 250, exact
