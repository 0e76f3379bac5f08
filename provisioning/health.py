"""Is the node alive after a change? Asked of both ends: its services, and the controller.

Healthy: gateway, agent and sockets run on the node, and the controller has heard from its agent
since the change. What it sends, and with what, is the controller's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from postfleet.v1 import fleet_pb2

from provisioning.errors import StepFailed
from provisioning.fleet import Fleet
from provisioning.machine import Machine

UNITS = "postfleet-gateway.service postfleet-agent.service postfleet-apply.socket"
TIMEOUT_S = 60.0
PAUSE_S = 0.5
_CONNECTED = ("connected", "cordoned", "draining", "drained")


def heard_at(node: fleet_pb2.Node) -> int:
    """When the controller last heard from the agent; nanoseconds of its clock, 0: never."""
    return node.last_seen.ToNanoseconds()


def wait_healthy(
    node_id: str,
    machine: Machine,
    fleet: Fleet,
    after: int,
    stopped: Callable[[], bool] = lambda: False,
    timeout_s: float = TIMEOUT_S,
) -> str:
    """Wait until it is healthy; returns one sentence about it.

    `after` is `heard_at` from before the change. Raises StepFailed with the end of both journals.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        units = machine.run(f"systemctl is-active {UNITS} || true").stdout.split()
        node = fleet.node(node_id)
        running = units == ["active"] * 3
        if running and node.state in _CONNECTED and heard_at(node) > after:
            return f"agent {node.agent_version} connected, generation {node.running_generation}"
        if time.monotonic() > deadline or stopped():
            raise StepFailed(
                node_id,
                "health",
                f"systemctl is-active {UNITS}; ListNodes",
                f"services: {' '.join(units)}; the controller says: {node.state}"
                f"{', ' + node.spec_error if node.spec_error else ''}\n" + _journal(machine),
                "all is installed; without a lease from the controller the node sends nothing",
                "read the journal above; is the controller reachable from the node?",
            )
        time.sleep(PAUSE_S)


def _journal(machine: Machine) -> str:
    units = "-u postfleet-agent -u postfleet-gateway"
    return machine.run(f"journalctl -q --no-pager -o cat -n 12 {units} || true").stdout
