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
    """One of them. `settle_s`: how long mail may take to come to its end afterwards.

    `may_doubt`: it can cut a delivery between the final dot and its answer, or destroy evidence, so
    that messages may end `uncertain`.
    """

    name: str
    play: Callable[[Scene], None]
    may_doubt: bool
    settle_s: float = 90.0

    @property
    def does(self) -> str:
        """What it does, in a sentence or two."""
        return " ".join((inspect.getdoc(self.play) or "").split())


SCENARIOS = (
    Scenario("power-lost", scenes_power.power_lost, may_doubt=True),
    Scenario("power-back", scenes_power.power_back, may_doubt=True),
    Scenario("fence", scenes_power.fence, may_doubt=True),
    Scenario("cut-from-controller", scenes_links.cut_from_controller, may_doubt=True),
    Scenario("cut-from-proxies", scenes_links.cut_from_proxies, may_doubt=True),
    Scenario("one-way", scenes_links.one_way, may_doubt=True),
    Scenario("flapping", scenes_links.flapping, may_doubt=True),
    Scenario("lossy", scenes_links.lossy, may_doubt=True),
    Scenario("kill-agent", scenes_processes.kill_agent, may_doubt=False),
    Scenario("kill-gateway", scenes_processes.kill_gateway, may_doubt=True),
    Scenario("kill-postfix", scenes_processes.kill_postfix, may_doubt=True),
    Scenario("kill-apply", scenes_processes.kill_apply, may_doubt=False),
    Scenario("kill-controller", scenes_processes.kill_controller, may_doubt=True),
    Scenario("kill-postgres", scenes_processes.kill_postgres, may_doubt=True),
    Scenario("agent-stopped", scenes_processes.agent_stopped, may_doubt=True),
    Scenario("host-frozen", scenes_processes.host_frozen, may_doubt=True),
    Scenario("agent-clock", scenes_machines.agent_clock, may_doubt=False),
    Scenario("controller-clock", scenes_machines.controller_clock, may_doubt=False),
    Scenario("node-disk-full", scenes_machines.node_disk_full, may_doubt=True),
    Scenario("postgres-disk-full", scenes_machines.postgres_disk_full, may_doubt=True),
    Scenario("log-rotated", scenes_machines.log_rotated, may_doubt=False),
    Scenario("log-truncated", scenes_machines.log_truncated, may_doubt=True),
    Scenario("drain", scenes_operator.drain, may_doubt=False),
    Scenario("deploy", scenes_operator.deploy, may_doubt=False),
    Scenario("two-controllers", scenes_operator.two_controllers, may_doubt=False),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
