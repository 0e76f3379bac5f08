"""Does the fleet survive losses, held against placement itself; pure."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.placement import EgressView, NodeState, NodeView, Policy, Snapshot, place
from controller.shards.survival import Addition, Loss, survey
from tests.controller.placement.fleets import generated


def node(id: str, capacity: int, domain: str) -> NodeView:
    return NodeView(id, capacity, NodeState.ACTIVE, domain)


def spread(*sizes_on: tuple[str, int, str]) -> tuple[EgressView, ...]:
    """Egresses as (node, mailboxes, client)."""
    return tuple(
        EgressView(f"e{n}", client, size, where) for n, (where, size, client) in enumerate(sizes_on)
    )


def loss(snapshot: Snapshot, kind: str, id: str) -> Loss:
    (found,) = [each for each in survey(snapshot).losses if (each.kind, each.id) == (kind, id)]
    return found


def test_a_fleet_with_a_spare_node_survives_any_one() -> None:
    nodes = tuple(node(f"n{n}", 16, f"fd{n}") for n in range(3))
    fleet = Snapshot(nodes, spread(("n0", 8, "a"), ("n0", 8, "b"), ("n1", 8, "a"), ("n2", 8, "b")))
    assert survey(fleet).survives
    assert survey(fleet).addition is None


def test_what_would_not_send_is_told_by_client_and_what_to_add() -> None:
    nodes = tuple(node(f"n{n}", 16, f"fd{n}") for n in range(2))
    fleet = Snapshot(nodes, spread(("n0", 8, "a"), ("n0", 8, "a"), ("n1", 8, "b"), ("n1", 7, "a")))
    found = survey(fleet)
    assert not found.survives
    assert loss(fleet, "now", "").is_survived
    assert loss(fleet, "node", "n0").missing >= 15
    assert loss(fleet, "node", "n0").by_client == {"a": 16}
    assert found.addition == Addition(1, 16)


def test_nodes_of_one_domain_are_lost_together() -> None:
    nodes = (node("n0", 9, "x"), node("n1", 9, "x"), node("n2", 8, "y"), node("n3", 5, "y"))
    fleet = Snapshot(nodes, spread(("n0", 6, "a"), ("n1", 6, "a"), ("n2", 3, "a")))
    assert loss(fleet, "node", "n0").is_survived
    assert not loss(fleet, "failure-domain", "x").is_survived
    assert loss(fleet, "failure-domain", "y").is_survived


def test_an_address_of_a_node_is_lost_with_it_and_no_capacity_helps() -> None:
    nodes = (node("n0", 50, "x"), node("n1", 50, "y"))
    bound = EgressView("e", "a", 8, "n0", only_node="n0")
    found = survey(Snapshot(nodes, (bound,)))
    assert not found.survives
    assert found.addition is None
    assert loss(Snapshot(nodes, (bound,)), "node", "n0").bound == 8


def test_what_has_no_place_now_is_a_loss_that_has_happened() -> None:
    fleet = Snapshot((node("n0", 8, "x"),), spread(("n0", 8, "a"), ("", 8, "b")))
    fleet = replace(fleet, egresses=(fleet.egresses[0], replace(fleet.egresses[1], node_id=None)))
    assert loss(fleet, "now", "").by_client == {"b": 8}
    assert survey(fleet).losses[0].kind == "now"


def test_a_cordoned_node_can_be_lost_and_takes_nothing() -> None:
    nodes = (node("n0", 8, "x"), replace(node("n1", 99, "y"), state=NodeState.CORDONED))
    fleet = Snapshot(nodes, spread(("n0", 4, "a"), ("n1", 4, "a")))
    assert loss(fleet, "node", "n1").is_survived
    assert not loss(fleet, "node", "n0").is_survived


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32))
def test_the_verdict_is_what_placement_finds_when_it_happens(seed: int) -> None:
    dice = random.Random(seed)
    fleet = generated(dice, dice.randint(2, 7), dice.randint(1, 30), 3, dice.uniform(0.5, 1))
    found = survey(fleet)
    for each in found.losses:
        happened = replace(
            fleet,
            nodes=tuple(n for n in fleet.nodes if n.id not in each.nodes),
            egresses=tuple(
                replace(e, node_id=None) if e.node_id in each.nodes else e for e in fleet.egresses
            ),
        )
        assert (not place(happened, Policy()).left_out) == each.is_survived, each
    if found.addition:
        new = tuple(
            node(f"z{n}", found.addition.capacity, "z") for n in range(found.addition.nodes)
        )
        assert survey(replace(fleet, nodes=(*fleet.nodes, *new))).survives or any(
            not each.is_survived and each.id == "z"
            for each in survey(replace(fleet, nodes=(*fleet.nodes, *new))).losses
        )
