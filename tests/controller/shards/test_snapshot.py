"""How the fleet as it is becomes what placement sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.placement import NodeState
from controller.shards.fleet_now import EgressNow, FleetNow, MoveNow, NodeNow
from controller.shards.snapshot import build_snapshot, node_state

NODE = NodeNow(
    id="n1", capacity=10, failure_domain="a", region=None, cordoned=False, draining=False,
    decommissioned=False, fenced=False, held=True, is_new=False, age_s=5000,
)  # fmt: skip
DEAD: dict[str, Any] = {"held": False}
NEW: dict[str, Any] = {"held": False, "is_new": True, "age_s": 5}
EGRESS = EgressNow("e", "c", 8, 0, None, None, "n1", in_term=True, releasing=False)


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({}, NodeState.ACTIVE),
        ({"cordoned": True}, NodeState.CORDONED),
        ({"fenced": True}, NodeState.CORDONED),
        ({"draining": True, "cordoned": True}, NodeState.LEAVING),
        ({"decommissioned": True}, NodeState.LEAVING),
        ({"decommissioned": True, "cordoned": True}, NodeState.LEAVING),
        (DEAD, NodeState.LEAVING),
        (DEAD | {"fenced": True}, NodeState.LEAVING),
        (NEW, NodeState.ACTIVE),
        (NEW | {"age_s": 600}, NodeState.LEAVING),
        (NEW | {"cordoned": True}, NodeState.CORDONED),
        (NEW | {"fenced": True}, NodeState.LEAVING),
    ],
)
def test_the_state_of_a_node(more: dict[str, Any], state: NodeState) -> None:
    assert node_state(replace(NODE, **more), 600) is state


def seen_at(egress: EgressNow, **target: Any) -> str | None:
    other = replace(NODE, id="n2", **target)
    (view,) = build_snapshot(FleetNow((NODE, other), (egress,), None, 20)).egresses
    return view.node_id


def test_an_egress_counts_where_it_goes_to() -> None:
    move = MoveNow("n1", "n2", "leaving", runs=False)
    assert seen_at(EGRESS) == "n1"
    assert seen_at(replace(EGRESS, releasing=True)) is None
    assert seen_at(replace(EGRESS, releasing=True, move=move)) == "n2"
    assert seen_at(replace(EGRESS, node_id=None, move=move)) == "n2"


@pytest.mark.parametrize("closed", [{"cordoned": True}, {"draining": True}, {"held": False}])
def test_an_egress_whose_target_was_closed_on_the_way_is_placed_anew(
    closed: dict[str, Any],
) -> None:
    move = MoveNow("n1", "n2", "leaving", runs=False)
    assert seen_at(replace(EGRESS, releasing=True, move=move), **closed) is None
    # It came there before that.
    assert seen_at(replace(EGRESS, node_id="n2", move=move), **closed) == "n2"
