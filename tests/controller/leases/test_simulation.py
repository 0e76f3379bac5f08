"""One sender at a time, over random networks and clocks; and the simulation finds planted bugs."""

from __future__ import annotations

import os

import pytest

from tests.controller.leases.simulation import Bug, Simulation

RUNS = int(os.environ.get("POSTFLEET_SIMULATIONS", "100"))
STEPS = 1500


def test_no_two_nodes_ever_have_an_egress_open() -> None:
    for seed in range(RUNS):
        assert Simulation(seed).run(STEPS) == "", f"seed {seed}"


def test_the_simulation_moves_egresses_at_all() -> None:
    simulation = Simulation(1)
    simulation.run(STEPS)
    assert max(lease.epoch for lease in simulation.tables.leases.values()) > 3
    assert any(node.closed for node in simulation.nodes.values())


@pytest.mark.parametrize("bug", [bug for bug in Bug if bug is not Bug.NONE])
def test_a_planted_bug_is_found(bug: Bug) -> None:
    assert any(Simulation(seed, bug).run(STEPS) for seed in range(200)), bug
