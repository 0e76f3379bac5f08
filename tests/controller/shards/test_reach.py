"""What the marks of nodes that cannot reach egresses mean, as sentences, and in fleets by dice."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.placement import EgressView, NodeState, NodeView, Snapshot
from controller.shards.fleet_now import FleetNow, MarkNow
from controller.shards.reach import judge
from controller.shards.snapshot import build_snapshot, holds_for_s, node_states
from tests.controller.placement.fleets import generated
from tests.controller.shards.world import GRACE_S, World, fleet_of

SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def marked(fleet: FleetNow, *pairs: tuple[str, str]) -> FleetNow:
    more = tuple(MarkNow(e, n, "no route to host", SINCE, 600) for e, n in pairs)
    return replace(fleet, marks=(*fleet.marks, *more))


def fleet(**held: int) -> FleetNow:
    """Nodes with so many egresses each, named after their node: a1, a2, …"""
    return fleet_of(
        Snapshot(
            tuple(NodeView(id, 100, NodeState.ACTIVE, id) for id in held),
            tuple(
                EgressView(f"{id}{n}", "c", 8, id)
                for id, count in held.items()
                for n in range(1, count + 1)
            ),
        ),
        limit=2,
    )


def moves(fleet: FleetNow) -> dict[str, str | None]:
    plan, _ = World(fleet).decide()
    return {move.egress_id: move.to_node for move in plan.moves}


def test_one_nodes_failure_moves_the_egress() -> None:
    assert moves(marked(fleet(a=4, b=4), ("a1", "a"))) == {"a1": "b"}


def test_a_second_nodes_failure_says_that_the_proxy_is_down_and_it_stays() -> None:
    down = marked(fleet(a=4, b=4, c=4), ("b1", "a"), ("b1", "b"))
    assert judge(down).down == {"b1"}
    assert moves(down) == {}
    (view,) = [e for e in build_snapshot(down, GRACE_S).egresses if e.id == "b1"]
    assert view.unreachable_from == {"a"}


def test_when_the_first_mark_is_over_another_node_tries() -> None:
    assert set(moves(marked(fleet(a=4, b=4), ("b1", "b")))) == {"b1"}


def test_a_node_that_fails_at_most_of_what_it_has_gets_nothing_more() -> None:
    cut = marked(fleet(a=5, b=4), ("a1", "a"), ("a2", "a"), ("a3", "a"))
    assert judge(cut).cut_off == {"a"}
    assert node_states(cut, GRACE_S)["a"] is NodeState.CORDONED
    assert moves(cut) == {"a1": "b", "a2": "b", "a3": "b"}
    assert not judge(marked(fleet(a=6, b=4), ("a1", "a"), ("a2", "a"), ("a3", "a"))).cut_off
    assert not judge(marked(fleet(a=2, b=4), ("a1", "a"), ("a2", "a"))).cut_off


def test_a_node_that_drains_is_not_held_back_by_being_cut_off() -> None:
    world = World(marked(fleet(a=3, b=1), ("a1", "a"), ("a2", "a"), ("a3", "a")))
    world.close("a")
    assert node_states(world.fleet, GRACE_S)["a"] is NodeState.LEAVING


def test_what_a_node_that_was_cut_off_could_not_reach_is_not_held_against_the_proxy() -> None:
    """a was cut off, its egresses came to b, and then b was cut off too: c reaches them."""
    at_a = [(f"b{n}", "a") for n in range(1, 4)] + [(f"c{n}", "a") for n in range(1, 4)]
    at_b = [(f"b{n}", "b") for n in range(1, 8)]
    world = marked(fleet(a=0, b=7, c=3), *at_a, *at_b)
    assert judge(world).cut_off == {"a", "b"}
    assert not judge(world).down
    assert moves(world) == {f"b{n}": "c" for n in range(1, 8)}


def test_when_all_proxies_fail_at_once_nothing_moves() -> None:
    every = fleet(a=4, b=4, c=4)
    assert moves(marked(every, *((e.id, e.node_id or "") for e in every.egresses))) == {}


def test_what_cannot_send_moves_at_once_and_what_sends_a_few_at_a_time() -> None:
    cut = marked(fleet(a=4, b=4, c=4), *((f"a{n}", "a") for n in range(1, 5)))
    world = World(cut)
    world.close("b")
    _, steps = world.decide()
    assert {step.egress_id for step in steps.ask_back} == {"a1", "a2", "a3", "a4"}
    assert steps.waiting == 4


def test_everything_is_looked_at_again_when_a_mark_is_over() -> None:
    assert holds_for_s(marked(fleet(a=1), ("a1", "a")), GRACE_S) == 600


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_in_the_end_all_sends_that_a_node_reaches_and_no_second_one_failed_at(seed: int) -> None:
    """Paths and proxies break by dice; each node that has an egress it cannot reach marks it. With
    room enough, in the end every egress is where it can send, or no node is left to try, or a
    second node that is not cut off failed at it.
    """
    dice = random.Random(seed)
    snapshot = generated(dice, dice.randint(2, 6), dice.randint(3, 30), 3, 0.3)
    nodes = [node.id for node in snapshot.nodes]
    broken = {
        (e.id, node)
        for e in snapshot.egresses
        for node in (nodes if dice.random() < 0.05 else dice.sample(nodes, 1))
        if dice.random() < 0.5
    }
    cut = dice.choice([None, *nodes])
    broken |= {(e.id, cut) for e in snapshot.egresses if cut is not None}
    world = World(fleet_of(snapshot, limit=3))
    for _ in range(400):
        seen = {(mark.egress_id, mark.node_id) for mark in world.fleet.marks}
        here = {(e.id, e.node_id or "") for e in world.fleet.egresses if e.in_term}
        found = sorted((here & broken) - seen)
        world.fleet = marked(world.fleet, *(pair for pair in found if dice.random() < 0.5))
        _, steps = world.decide()
        world.carry_out(steps)
        if not found and steps.is_nothing and not steps.under_way:
            break
        world.nodes_do_something(dice)
    else:
        raise AssertionError("it never ends")
    reach = judge(world.fleet)
    for e in world.fleet.egresses:
        failed = {mark.node_id for mark in world.fleet.marks if mark.egress_id == e.id}
        if e.node_id is not None and (e.id, e.node_id) not in broken:
            continue
        others = [n for n in nodes if n not in failed and n not in reach.cut_off]
        assert e.id in reach.down or not others, (e, failed, reach)
