"""Leases and hand-overs of a whole fleet, interleaved in every way: the invariants hold after each
step, and every planted fault breaks one of them.

Steps are chosen by hypothesis, which also makes a failure short, and by dice, which go further.
POSTFLEET_STEPS=1000000 explores for longer.
"""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.effort import runs
from tests.whole.bugs import Bug
from tests.whole.simulation import KINDS, Simulation, run

STEPS_OF_A_RUN = 1200
STEPS = int(os.environ.get("POSTFLEET_STEPS", runs(full=36_000, quick=2400)))
# A kind of step as often as the dice take it.
FREQUENT = [kind for kind, often in KINDS.items() for _ in range(max(1, round(often)))]


class FleetMachine(RuleBasedStateMachine):
    @initialize(dice=st.randoms(use_true_random=False))
    def begin(self, dice: random.Random) -> None:
        self.fleet = Simulation(dice)

    @rule(kind=st.sampled_from(FREQUENT), dice=st.randoms(use_true_random=False))
    def step(self, kind: str, dice: random.Random) -> None:
        self.fleet.do(kind, dice)

    @invariant()
    def holds(self) -> None:
        assert self.fleet.violations() == []


FleetMachine.TestCase.settings = settings(
    max_examples=runs(full=60, quick=2), stateful_step_count=200, deadline=None
)
TestFleet = FleetMachine.TestCase


def test_nothing_is_lost_doubled_or_sent_by_two_whatever_happens_in_whatever_order() -> None:
    for seed in range(max(1, STEPS // STEPS_OF_A_RUN)):
        step, found, _ = run(seed, STEPS_OF_A_RUN)
        assert not found, f"seed {seed}, step {step}"


@pytest.mark.skipif(bool(runs(full=0, quick=1)), reason="a handful of steps does not do everything")
def test_the_simulation_does_all_there_is_to_do() -> None:
    done = {kind for seed in range(10) for kind in run(seed, STEPS_OF_A_RUN)[2].done}
    assert done == set(KINDS)


@pytest.mark.skipif(
    bool(runs(full=0, quick=1)), reason="the quick stage trusts that CI looks for bugs"
)
@pytest.mark.parametrize("bug", [bug for bug in Bug if bug is not Bug.NONE])
def test_a_planted_bug_is_found(bug: Bug) -> None:
    assert any(run(seed, STEPS_OF_A_RUN, bug)[0] for seed in range(400)), bug
