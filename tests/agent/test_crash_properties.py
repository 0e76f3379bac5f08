"""Whatever Postfix answers and whenever the agent dies: nothing lost, nothing doubled.

The spool's real SQL on one side; on the other a model of Postfix that knows what it accepted. The
agent's steps are played one by one, so a crash may come between any two of them.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from postfleet.v1 import node_pb2

from node_agent.agent.lifecycle import FactKind
from tests.agent.agent_machine import AgentMachine
from tests.agent.postfix_model import ENDS

AgentMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestNothingLostNothingDoubled = AgentMachine.TestCase


def one_step(machine: AgentMachine, dice: random.Random, number: int) -> None:
    """A random step of what happens to mail that Postfix has; one that cannot be now is none."""
    postfix = machine.postfix
    match dice.randrange(13):
        case 0:
            machine.hand_over_at_once(number)
        case 1 if postfix.waiting():
            postfix.take_up(dice.choice(postfix.waiting()))
        case 2 | 3 if postfix.delivering:
            kind = dice.choice([*ENDS, *[FactKind.DEFERRED] * 8])
            postfix.end(dice.choice(sorted(postfix.delivering)), kind)
        case 4 if postfix.queue:
            postfix.place[dice.choice(sorted(postfix.queue))] = "hold"
        case 5:
            postfix.unhold([q for q in sorted(postfix.queue) if q not in postfix.delivering])
        case 6 if not machine.asked:
            machine.recall_holds(2)
        case 7 if machine.asked and machine.seen is None:
            machine.recall_looks()
        case 8 if machine.seen is not None:
            machine.recall_notes()
        case 9 if machine.deleted is None:
            machine.recall_deletes()
        case 10 if machine.deleted is not None:
            machine.recall_concludes()
        case 11 if not machine.asked and dice.random() < 0.3:
            machine.recall_lets_go()
        case 12 if dice.random() < 0.3:
            machine.crash_and_recover()
        case _:
            machine.follow_log(dice.randrange(1, 4))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_in_the_middle_of_a_recall_nothing_is_lost_or_doubled(seed: int) -> None:
    """Walks of one or two messages each: hypothesis spends its steps elsewhere."""
    dice = random.Random(seed)
    returned = 0
    for _ in range(400):
        machine = AgentMachine()
        for _ in range(40):
            one_step(machine, dice, dice.choice((1, 1, 2)))
            machine.nothing_is_doubled()
            machine.nothing_is_lost()
        machine.teardown()
        returned += sum(e.kind == node_pb2.EVENT_KIND_RETURNED for e in machine.told)
    assert returned > 10
