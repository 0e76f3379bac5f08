"""What a drain would do, and when it is refused; pure."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.shards.drain import foresee_drain, refusals
from tests.controller.placement.fleets import generated
from tests.controller.shards.world import GRACE_S, World, fleet_of

FLEET = fleet_of(generated(random.Random(1), 3, 12, 2, 0.5), 5)


def test_a_node_whose_egresses_fit_elsewhere_may_be_drained() -> None:
    foreseen = foresee_drain(FLEET, "n000", GRACE_S)
    assert refusals(foreseen, "n000", force=False) == []
    assert foreseen.plan.load_after["n000"] == 0
    assert not foreseen.left_out


def test_the_last_node_may_not_be_drained_by_force_either() -> None:
    alone = replace(FLEET, nodes=tuple(replace(n, cordoned=n.id != "n000") for n in FLEET.nodes))
    for force in (False, True):
        (said,) = refusals(foresee_drain(alone, "n000", GRACE_S), "n000", force=force)
        assert "is the last node" in said


def test_a_node_that_is_lost_is_not_the_last_one() -> None:
    """Nothing sends from it now, so nothing stops."""
    lost = replace(FLEET, nodes=tuple(replace(n, held=False) for n in FLEET.nodes))
    assert refusals(foresee_drain(lost, "n000", GRACE_S), "n000", force=False) == []


def test_what_is_refused_says_which_order_may_be_forced() -> None:
    tight = replace(FLEET, nodes=tuple(
        replace(n, capacity=1) if n.id != "n000" else n for n in FLEET.nodes
    ))  # fmt: skip
    foreseen = foresee_drain(tight, "n000", GRACE_S)
    said = refusals(foreseen, "n000", force=False, order="decommission")
    assert said[-1].startswith("--force: decommission it all the same")


def test_what_had_no_place_before_is_not_the_drains_fault() -> None:
    homeless = replace(FLEET.egresses[0], node_id=None, in_term=False, only_node="n9")
    fleet = replace(FLEET, egresses=(homeless, *FLEET.egresses[1:]))
    assert refusals(foresee_drain(fleet, "n000", GRACE_S), "n000", force=False) == []


def test_an_address_of_the_node_goes_nowhere() -> None:
    here = next(e for e in FLEET.egresses if e.node_id == "n000")
    bound = replace(here, only_node="n000")
    fleet = replace(FLEET, egresses=tuple(bound if e.id == here.id else e for e in FLEET.egresses))
    said = refusals(foresee_drain(fleet, "n000", GRACE_S), "n000", force=False)
    assert any("it is bound to node n000" in line for line in said)
    assert refusals(foresee_drain(fleet, "n000", GRACE_S), "n000", force=True) == []


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_a_drain_that_is_not_refused_ends_with_everything_placed(seed: int) -> None:
    dice = random.Random(seed)
    fleet = fleet_of(
        generated(dice, dice.randint(2, 6), dice.randint(1, 30), 3, dice.uniform(0.5, 1)), 4
    )
    node_id = dice.choice(fleet.nodes).id
    foreseen = foresee_drain(fleet, node_id, GRACE_S)
    said = refusals(foreseen, node_id, force=False)
    mailboxes = sum(e.mailboxes for e in fleet.egresses)
    room = sum(node.capacity for node in fleet.nodes if node.id != node_id)
    if mailboxes > room:
        assert said
    if said:
        assert sum(foreseen.by_client.values()) == sum(i.mailboxes for i in foreseen.left_out) > 0
        return
    world = World(fleet)
    world.close(node_id)
    for _ in range(2000):
        _, steps = world.decide()
        world.carry_out(steps)
        world.nodes_do_something(dice)
        if steps.is_nothing and not steps.under_way:
            break
    placed = [e.node_id for e in world.fleet.egresses]
    assert node_id not in placed
    assert sum(node is None for node in placed) <= sum(e.node_id is None for e in fleet.egresses)
