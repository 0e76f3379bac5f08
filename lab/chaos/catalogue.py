"""All scenarios by name, in the order in which they are played."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from lab.chaos import (
    scenes_links,
    scenes_machines,
    scenes_operator,
    scenes_power,
    scenes_processes,
)
from lab.chaos.scene import Scene


@dataclass(frozen=True)
class Scenario:
    """One of them. `settle_s`: how long mail may take to come to its end afterwards."""

    name: str
    play: Callable[[Scene], None]
    settle_s: float = 90.0

    @property
    def does(self) -> str:
        """What it does, in a sentence or two."""
        return " ".join((inspect.getdoc(self.play) or "").split())


SCENARIOS = (
    Scenario("power-lost", scenes_power.power_lost),
    Scenario("power-back", scenes_power.power_back),
    Scenario("fence", scenes_power.fence),
    Scenario("cut-from-controller", scenes_links.cut_from_controller),
    Scenario("cut-from-proxies", scenes_links.cut_from_proxies),
    Scenario("one-way", scenes_links.one_way),
    Scenario("flapping", scenes_links.flapping),
    Scenario("lossy", scenes_links.lossy),
    Scenario("kill-agent", scenes_processes.kill_agent),
    Scenario("kill-gateway", scenes_processes.kill_gateway),
    Scenario("kill-postfix", scenes_processes.kill_postfix),
    Scenario("kill-apply", scenes_processes.kill_apply),
    Scenario("kill-controller", scenes_processes.kill_controller),
    Scenario("kill-postgres", scenes_processes.kill_postgres),
    Scenario("agent-stopped", scenes_processes.agent_stopped),
    Scenario("host-frozen", scenes_processes.host_frozen),
    Scenario("agent-clock", scenes_machines.agent_clock),
    Scenario("controller-clock", scenes_machines.controller_clock),
    Scenario("node-disk-full", scenes_machines.node_disk_full),
    Scenario("postgres-disk-full", scenes_machines.postgres_disk_full),
    Scenario("log-rotated", scenes_machines.log_rotated),
    Scenario("log-truncated", scenes_machines.log_truncated),
    Scenario("deploy", scenes_operator.deploy),
    Scenario("two-controllers", scenes_operator.two_controllers),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
