"""What is allowed and unwise is said, and stops nobody."""

from __future__ import annotations

from pathlib import Path

from inventory.load import parse

_GOOD = (Path(__file__).parent / "good.yaml").read_text()


def _warnings(old: str, new: str) -> list[str]:
    assert old in _GOOD
    return [str(problem) for problem in parse(_GOOD.replace(old, new), "x").warnings]


def test_more_mailboxes_than_capacity_is_a_warning() -> None:
    assert _warnings("capacity: 8", "capacity: 1") == [
        "x:27: nodes: the nodes take 2 mailboxes and the inventory has 3: "
        "1 will not send until there are more nodes"
    ]


def test_a_fleet_that_does_not_survive_the_loss_of_a_node_is_a_warning() -> None:
    assert _warnings("capacity: 8", "capacity: 2") == [
        "x:27: nodes: without its largest node the fleet takes 2 of 3 mailboxes: "
        "it does not survive the loss of a node whole"
    ]


def test_one_failure_domain_for_all_nodes_is_a_warning() -> None:
    assert _warnings("failure_domain: b", "failure_domain: a") == [
        "x:27: nodes: all nodes are in one failure domain and fail together"
    ]
