"""The rows about placement: how long one plan takes, in processor time of one core.

Two sizes, each in the situations a fleet gets into; the row shows the slowest of them, because a
loop that plans every second must be able to afford it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from controller.placement import (
    EgressView,
    NodeState,
    NodeView,
    Policy,
    Snapshot,
    place,
)
from lab.bench.result import Bar, Result, Side

_PER_EGRESS = 8
_RUNS = 3
_CLIENTS, _DOMAINS, _REGIONS = 40, 12, 3


def placement_rows(say: Callable[[str], None]) -> list[Result]:
    """Measure both sizes."""
    return [
        _row("placement, 1,200 mailboxes, 150 egresses, 8 nodes", 8, 150, 20, say),
        _row("placement, 100,000 mailboxes, 12,500 egresses, 667 nodes", 667, 12_500, 3000, say),
    ]


def _row(name: str, nodes: int, egresses: int, bar_ms: float, say: Callable[[str], None]) -> Result:
    took = {}
    for situation, fleet, policy in _situations(nodes, egresses):
        took[situation] = min(_one(fleet, policy) for _ in range(_RUNS))
        say(f"{name}: {situation} {took[situation]:.1f} ms")
    note = ", ".join(f"{situation} {ms:.1f}" for situation, ms in took.items())
    return Result(name, max(took.values()), "ms", Bar(Side.AT_MOST, bar_ms), note)


def _one(fleet: Snapshot, policy: Policy) -> float:
    began = time.process_time()
    place(fleet, policy)
    return (time.process_time() - began) * 1000


def _situations(nodes: int, egresses: int) -> Iterator[tuple[str, Snapshot, Policy]]:
    """A fleet of 87 % load, and the same with room for no more than what it has."""
    roomy = _fleet(nodes, egresses, 1.15)
    tight = _fleet(nodes, egresses, 1.0)
    yield "from nothing", roomy, Policy()
    placed, full = _placed(roomy), _placed(tight)
    yield "nothing to do", placed, Policy()
    yield "a node lost", _without(placed, 1), Policy()
    yield "a tenth lost", _without(placed, -(-nodes // 10)), Policy()
    joined = NodeView("new", placed.nodes[0].capacity, NodeState.ACTIVE, "new")
    yield "rebalance", replace(placed, nodes=(*placed.nodes, joined)), Policy(rebalance=True)
    yield "full, a node lost", _without(full, 1), Policy()
    yield "full, a tenth lost", _without(full, -(-nodes // 10)), Policy()
    less = tuple(replace(node, capacity=node.capacity * 9 // 10) for node in full.nodes)
    yield "full, all a tenth smaller", replace(full, nodes=less), Policy()


def _fleet(nodes: int, egresses: int, room: float) -> Snapshot:
    capacity = -(-egresses // nodes) * _PER_EGRESS * room
    return Snapshot(
        tuple(
            NodeView(
                f"n{i:04}",
                int(capacity),
                NodeState.ACTIVE,
                f"d{i % _DOMAINS}",
                f"r{i % _REGIONS}",
            )
            for i in range(nodes)
        ),
        tuple(
            # One in ten is smaller: holes are not all alike.
            EgressView(
                f"e{i:05}",
                f"c{i % _CLIENTS}",
                _PER_EGRESS - (i % 10 == 0) * 3,
                None,
                region=f"r{i % _REGIONS}",
                priority=i % 3,
            )
            for i in range(egresses)
        ),
    )


def _placed(fleet: Snapshot) -> Snapshot:
    to = {move.egress_id: move.to_node for move in place(fleet, Policy()).moves}
    return replace(fleet, egresses=tuple(replace(e, node_id=to.get(e.id)) for e in fleet.egresses))


def _without(fleet: Snapshot, lost: int) -> Snapshot:
    gone = tuple(replace(node, state=NodeState.LEAVING) for node in fleet.nodes[:lost])
    return replace(fleet, nodes=(*gone, *fleet.nodes[lost:]))
