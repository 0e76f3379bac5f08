"""Plans carried out a few moves at a time, by dice: what holds after every step."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.placement import Snapshot
from controller.shards.fleet_now import MoveNow
from tests.controller.placement.fleets import changed, generated
from tests.controller.shards.world import World, fleet_of

MOST_CYCLES = 3000
MOST_ABOVE_THE_BOUND = 10


def run_to_the_end(world: World, dice: random.Random, limit: int) -> int:
    """Cycles until nothing is to be done; checks each. Gives how many."""
    capacity = {node.id: node.capacity for node in world.fleet.nodes}
    before, under_way = world.load(), world.under_way()
    for cycle in range(MOST_CYCLES):
        plan, steps = world.decide()
        back = sum(goal is not None and world.is_left_out(id) for id, goal in steps.retarget)
        world.carry_out(steps)
        load = world.load()
        for id, mailboxes in load.items():
            assert mailboxes <= max(capacity[id], before[id]), f"{id} is over its capacity"
        before = load
        assert world.under_way() == steps.under_way
        # What no node had room for and one has now counts again; it was asked back long ago.
        if world.under_way() > max(limit, under_way + back):
            # Nothing else could have gone on.
            assert len(steps.ask_back) == 1
            assert world.under_way() == world.stranded() + 1
        under_way = world.under_way()
        if steps.is_nothing and not steps.under_way:
            assert not steps.waiting
            left_out = {item.egress_id for item in plan.left_out}
            nowhere = {egress.id for egress in world.fleet.egresses if egress.node_id is None}
            assert nowhere == left_out
            assert all(e.move is None or e.id in left_out for e in world.fleet.egresses)
            return cycle
        world.nodes_do_something(dice)
        before = world.load()
    raise AssertionError("it never ends")


SEEDS = st.integers(0, 2**32)


def some_fleet(dice: random.Random) -> Snapshot:
    return generated(
        dice, dice.randint(2, 8), dice.randint(1, 40), dice.randint(1, 4), dice.uniform(0.4, 1.0)
    )


@settings(max_examples=300, deadline=None)
@given(SEEDS, st.integers(1, 8), st.booleans())
def test_any_change_is_carried_out_within_limit_and_capacity(
    seed: int, limit: int, rebalance: bool
) -> None:
    dice = random.Random(seed)
    after = changed(dice, some_fleet(dice))
    run_to_the_end(World(fleet_of(after, limit, rebalance=rebalance)), dice, limit)


@settings(max_examples=200, deadline=None)
@given(SEEDS, st.integers(1, 5))
@example(63576878, 4)
def test_nodes_that_close_while_egresses_are_on_their_way_to_them_get_none(
    seed: int, limit: int
) -> None:
    dice = random.Random(seed)
    world = World(fleet_of(changed(dice, some_fleet(dice)), limit, rebalance=True))
    for _ in range(dice.randrange(6)):
        world.carry_out(world.decide()[1])
        world.nodes_do_something(dice)
    closed = dice.choice(world.fleet.nodes).id
    had = {e.id for e in world.fleet.egresses if e.node_id == closed}
    world.close(closed)
    run_to_the_end(world, dice, limit)
    assert {e.id for e in world.fleet.egresses if e.node_id == closed} <= had


@settings(max_examples=200, deadline=None)
@given(SEEDS, st.integers(1, 5))
@example(63957314, 1)
@example(11407427, 1)
@example(17295, 1)
@example(33320, 1)
@example(35422, 1)
def test_a_drain_disturbs_hardly_a_mailbox_that_the_plan_does_not_move(
    seed: int, limit: int
) -> None:
    """A plan is made anew at every step. In one of 400 tight fleets it packs what is left otherwise
    than it would have, and a few more move; not more than a plan may be above the least there is.
    """
    dice = random.Random(seed)
    world = World(fleet_of(some_fleet(dice), limit))
    world.close(dice.choice(world.fleet.nodes).id)
    plan, _ = world.decide()
    run_to_the_end(world, dice, limit)
    assert world.asked <= plan.moved + MOST_ABOVE_THE_BOUND


def test_an_emergency_is_not_limited() -> None:
    snapshot = generated(random.Random(3), 5, 40, 2, 0.6)
    fleet = fleet_of(snapshot, 1)
    lost = fleet.nodes[0].id
    world = World(
        replace(
            fleet,
            nodes=tuple(replace(n, held=n.id != lost) for n in fleet.nodes),
            egresses=tuple(
                replace(e, node_id=None, in_term=False) if e.node_id == lost else e
                for e in fleet.egresses
            ),
        )
    )
    _, steps = world.decide()
    assert len(steps.assign) == sum(e.node_id == lost for e in fleet.egresses) > 1


def test_what_a_dead_node_was_giving_away_goes_straight_to_where_it_was_going() -> None:
    snapshot = generated(random.Random(3), 5, 40, 2, 0.6)
    fleet = fleet_of(snapshot, 3)
    egress = fleet.egresses[0]
    goal = next(node.id for node in fleet.nodes if node.id != egress.node_id)
    move = MoveNow(egress.node_id or "", goal, "leaving", runs=False)
    freed = replace(egress, node_id=None, in_term=False, move=move)
    _, steps = World(replace(fleet, egresses=(freed, *fleet.egresses[1:]))).decide()
    assert [(step.egress_id, step.node_id) for step in steps.assign] == [(egress.id, goal)]


@settings(max_examples=200, deadline=None)
@given(SEEDS, st.integers(1, 40))
def test_a_new_node_is_filled_by_no_more_moves_than_were_foreseen(seed: int, limit: int) -> None:
    dice = random.Random(seed)
    fleet = fleet_of(some_fleet(dice), limit, rebalance=True)
    empty = replace(fleet.nodes[0], id="new", failure_domain="fd9")
    world = World(replace(fleet, nodes=(*fleet.nodes, empty)))
    plan, _ = world.decide()
    run_to_the_end(world, dice, limit)
    # Each look makes the plan anew; its end may differ by an egress.
    assert world.asked <= plan.moved + max(e.mailboxes for e in fleet.egresses)
    assert (world.load()["new"] > 0) == (plan.moved > 0)
