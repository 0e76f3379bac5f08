"""What stands against moving one egress; pure."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from controller.fleet.egress_move import why_not
from controller.shards.fleet_now import EgressNow, FleetNow, MarkNow, MoveNow, Order
from tests.controller.placement.fleets import generated
from tests.controller.shards.world import GRACE_S, fleet_of

FLEET = fleet_of(generated(random.Random(1), 3, 12, 2, 0.5), 2)
EGRESS = FLEET.egresses[0]
TARGET = next(node.id for node in FLEET.nodes if node.id != EGRESS.node_id)


def with_target(**more: object) -> FleetNow:
    return replace(
        FLEET,
        nodes=tuple(replace(n, **more) if n.id == TARGET else n for n in FLEET.nodes),  # type: ignore[arg-type]
    )


def refused(fleet: FleetNow, egress: EgressNow = EGRESS) -> list[str]:
    return why_not(fleet, egress, TARGET, GRACE_S)


def test_nothing_stands_against_a_move_that_fits() -> None:
    assert refused(FLEET) == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"capacity": 3}, "has room for 0 mailboxes"),
        ({"cordoned": True}, "is closed for egresses"),
        ({"fenced": True}, "is closed for egresses"),
        ({"draining": True}, "is closed for egresses"),
        ({"held": False}, "is not connected"),
    ],
)
def test_the_target_must_be_open_and_have_room(more: dict[str, object], words: str) -> None:
    (said,) = refused(with_target(**more))
    assert words in said


def test_the_target_must_reach_it() -> None:
    mark = MarkNow(EGRESS.id, TARGET, "no route to host", datetime(2026, 1, 1, tzinfo=UTC), 600)
    (said,) = refused(replace(FLEET, marks=(mark,)))
    assert f"node {TARGET} cannot reach the proxy of {EGRESS.id}" in said


def test_room_is_counted_beside_what_is_on_its_way_there() -> None:
    other = next(e for e in FLEET.egresses[1:] if e.node_id != TARGET)
    load = sum(e.mailboxes for e in FLEET.egresses if e.node_id == TARGET)
    exact = with_target(capacity=load + EGRESS.mailboxes)
    assert refused(exact) == []
    move = MoveNow(other.node_id or "", TARGET, "leaving", runs=False)
    coming = replace(other, releasing=True, move=move)
    egresses = tuple(coming if e.id == other.id else e for e in exact.egresses)
    (said,) = refused(replace(exact, egresses=egresses))
    assert "has room for" in said


def test_an_egress_moves_once_at_a_time_and_not_beside_a_rebalance() -> None:
    move = MoveNow("a", "b", "leaving", runs=False)
    assert "is on its way to b already" in refused(FLEET, replace(EGRESS, move=move))[0]
    assert "is on its way to nowhere" in refused(FLEET, replace(EGRESS, releasing=True))[0]
    assert "a rebalance is running" in refused(replace(FLEET, order=Order("x", "", 5)))[0]
    assert "is an address of node n9" in refused(FLEET, replace(EGRESS, only_node="n9"))[0]


def test_the_limit_of_moves_under_way_holds_for_operators_too() -> None:
    move = MoveNow("a", "b", "leaving", runs=False)
    full = tuple(replace(e, move=move) if n in (1, 2) else e for n, e in enumerate(FLEET.egresses))
    (said,) = refused(replace(FLEET, egresses=full))
    assert "2 moves are under way, and no more than 2 may be" in said
