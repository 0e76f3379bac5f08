"""How rows become what placement sees."""

from __future__ import annotations

import pytest

from controller.loops.snapshot import build_snapshot, node_state
from controller.placement import NodeState


def node(**row: object) -> dict[str, object]:
    return {
        "id": "n1", "capacity": 10, "failure_domain": "a", "region": None, "cordoned": False,
        "decommissioned": False, "fenced": False, "held": True, "epoch": 1, "renewals": 5,
    } | row  # fmt: skip


NEW = {"held": False, "epoch": 1, "renewals": 0}
DEAD = {"held": False, "epoch": 2}


@pytest.mark.parametrize(
    ("row", "awaited", "state"),
    [
        ({}, [], NodeState.ACTIVE),
        ({"cordoned": True}, [], NodeState.CORDONED),
        ({"fenced": True}, [], NodeState.CORDONED),
        (DEAD | {"fenced": True}, [], NodeState.LEAVING),
        ({"decommissioned": True}, [], NodeState.LEAVING),
        ({"decommissioned": True, "cordoned": True}, [], NodeState.LEAVING),
        (DEAD, ["n1"], NodeState.LEAVING),
        (NEW, [], NodeState.LEAVING),
        (NEW, ["n1"], NodeState.ACTIVE),
        (NEW | {"cordoned": True}, ["n1"], NodeState.CORDONED),
    ],
)
def test_the_state_of_a_node(row: dict[str, object], awaited: list[str], state: NodeState) -> None:
    assert node_state(node(**row), awaited) is state


def test_an_egress_that_is_being_released_has_no_node() -> None:
    egress = {
        "id": "e", "client_id": "c", "mailboxes": 8, "node_id": "n1", "only_node": None,
        "region": None, "priority": 3, "state": "releasing",
    }  # fmt: skip
    (seen,) = build_snapshot([], [egress], []).egresses
    assert seen.node_id is None
    assert seen.priority == 3
    (seen,) = build_snapshot([], [egress | {"state": "assigned"}], []).egresses
    assert seen.node_id == "n1"
