"""Gives a node that came back its share of the fleet, and waits until it sends.

The controller evens the load out by the fewest moves, a few at a time, each in order (`shard
rebalance`). One rebalance stands at a time: where another is running it may bring the share by
itself, so the order is repeated only when that has ended without doing so.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from postfleet.v1 import fleet_pb2

from provisioning.errors import OrderRefused
from provisioning.fleet import Fleet
from provisioning.health import heard_at

# A lease of the machine before has to end first, where it was not fenced.
WAIT_S = 120.0
PAUSE_S = 0.5


def await_share(
    fleet: Fleet,
    node_id: str,
    reason: str,
    stopped: Callable[[], bool],
    wait_s: float = WAIT_S,
) -> str:
    """A sentence about what it sends for, or about why it does not yet; never an error.

    A lease may still be the old machine's. It is this one's when heartbeats are granted, and only
    granted ones count as heard.
    """
    before = heard_at(fleet.node(node_id))
    deadline = time.monotonic() + wait_s
    ordered = False
    while True:
        node = fleet.node(node_id)
        has_lease = node.lease_valid and heard_at(node) > before
        if has_lease and _sends(node):
            return f"it sends for {node.egresses} egresses, {node.mailboxes} mailboxes"
        if has_lease and not ordered and not node.egresses:
            try:
                plan = fleet.rebalance(reason)
            except OrderRefused:
                pass  # another one is running
            else:
                ordered = True
                if not any(move.to_node == node_id for move in plan.moves):
                    return "the load is even without it: it gets the egresses that come next"
        if time.monotonic() > deadline or stopped():
            return (
                f"it is {node.state} with {node.egresses} egresses and runs generation "
                f"{node.running_generation} of {node.wanted_generation}: see `postfleet node show "
                f"{node_id}` and `postfleet shard moves`"
            )
        time.sleep(PAUSE_S)


def _sends(node: fleet_pb2.Node) -> bool:
    runs = 0 < node.running_generation == node.wanted_generation
    return bool(node.egresses and runs)
