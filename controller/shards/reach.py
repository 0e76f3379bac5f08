"""What the marks of nodes that cannot reach egresses mean for placement. Pure.

One node's mark says that its own network does not lead to the proxy: the egress goes elsewhere.
When a second one fails at the same egress, it is the proxy that is down: the egress stays where it
is, suspended, and is not moved round the fleet. But a node that fails at most of what it has is
itself cut off: its marks say nothing of any proxy, and it gets nothing more until they are over.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from controller.shards.fleet_now import FleetNow

# So many egresses, and more than it reaches, must be out of a node's reach: then it is cut off.
FEWEST_CUT_OFF = 3
# So many nodes that are not cut off must fail at an egress: then its proxy is down.
FEWEST_DOWN = 2


@dataclass(frozen=True)
class Reach:
    """`barred`: by egress, the nodes that do not reach it. `down`: egresses whose proxy is down.
    `cut_off`: nodes that fail at most of what they have."""

    barred: Mapping[str, frozenset[str]]
    down: frozenset[str]
    cut_off: frozenset[str]

    def unreachable_from(self, egress_id: str, at: str | None) -> frozenset[str]:
        """What placement is told of an egress that is on node `at`."""
        barred = self.barred.get(egress_id, frozenset())
        return barred - {at} if at is not None and egress_id in self.down else barred


def judge(fleet: FleetNow) -> Reach:
    """Reads the marks of the fleet."""
    barred: dict[str, set[str]] = defaultdict(set)
    for mark in fleet.marks:
        barred[mark.egress_id].add(mark.node_id)
    cut_off = _cut_off(fleet, barred)
    return Reach(
        barred={id: frozenset(nodes) for id, nodes in barred.items()},
        down=frozenset(id for id, nodes in barred.items() if len(nodes - cut_off) >= FEWEST_DOWN),
        cut_off=cut_off,
    )


def _cut_off(fleet: FleetNow, barred: Mapping[str, set[str]]) -> frozenset[str]:
    """Only what no other node fails at counts against a node: the rest may be the proxy's fault."""
    if not barred:
        return frozenset()
    failing = Counter(next(iter(nodes)) for nodes in barred.values() if len(nodes) == 1)
    reached = Counter(
        egress.node_id
        for egress in fleet.egresses
        if egress.node_id is not None and egress.node_id not in barred.get(egress.id, ())
    )
    return frozenset(
        id for id, count in failing.items() if count >= FEWEST_CUT_OFF and count > reached[id]
    )
