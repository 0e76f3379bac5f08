"""A probe that fails because of its target says nothing about the egress."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from postfleet.v1 import node_pb2, spec_pb2

from node_agent.agent.probes import prober
from node_agent.agent.probes.opinion import Hearing, judge
from node_agent.agent.probes.probe import ProbeResult
from node_agent.agent.probes.prober import Prober
from node_agent.agent.right import Right

GOOD = ProbeResult("e", "", "", "192.0.2.1", 5)
REFUSED = ProbeResult("e", "proxy-request", "0x05: Connection refused", "", 5, doubt=True)
ILL = ProbeResult("e", "proxy-auth", "wrong password", "", 5)


class Controller:
    """What is heard of it: each look, one heartbeat more is answered, while it `answers`."""

    def __init__(self) -> None:
        self.session, self.answers, self.heard_ns = 1, True, 0

    def hear(self) -> Hearing:
        self.heard_ns += self.answers
        return Hearing(self.session, self.heard_ns)


def says(*results: ProbeResult) -> Callable[[], Awaitable[ProbeResult]]:
    left = list(results)

    async def look() -> ProbeResult:
        return left.pop(0)

    return look


async def judged(
    controller: Controller, first: ProbeResult, again: ProbeResult = REFUSED,
    door: ProbeResult = REFUSED, before: Hearing | None = None,
) -> ProbeResult | None:  # fmt: skip
    begun = before or controller.hear()
    return await judge(first, begun, controller.hear, says(again), says(door), witness_s=0.3)


@pytest.mark.parametrize("result", [GOOD, ILL])
async def test_what_is_in_no_doubt_is_the_verdict(result: ProbeResult) -> None:
    controller = Controller()
    controller.session = 0
    assert await judged(controller, result) is result


async def test_without_a_session_a_failure_of_the_target_says_nothing() -> None:
    controller = Controller()
    controller.session = 0
    assert await judged(controller, REFUSED) is None


async def test_a_session_that_began_since_is_no_witness() -> None:
    """The controller was away while we looked, and is back."""
    controller = Controller()
    before = Hearing(1, 0)
    controller.session = 2
    assert await judged(controller, REFUSED, before=before) is None


async def test_a_session_in_which_nobody_answers_is_no_witness() -> None:
    """Its machine lost its power: no connection was ended."""
    controller = Controller()
    controller.answers = False
    assert await judged(controller, REFUSED) is None


async def test_while_the_controller_answers_a_proxy_that_leads_nowhere_is_ill() -> None:
    assert await judged(Controller(), REFUSED) is REFUSED


async def test_the_second_look_counts() -> None:
    assert await judged(Controller(), REFUSED, GOOD) is GOOD
    assert await judged(Controller(), REFUSED, ILL) is ILL


async def test_a_proxy_that_leads_to_the_other_door_is_well_and_the_echo_is_not() -> None:
    assert await judged(Controller(), REFUSED, door=GOOD) is None


async def test_what_was_known_stays_and_is_told_again_in_a_new_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = [GOOD, REFUSED, REFUSED]
    monkeypatch.setattr(prober, "probe", lambda *_: results.pop(0) if results else REFUSED)
    monkeypatch.setattr(prober, "POLL_S", 0.01)
    controller, told = Controller(), []

    async def report(said: node_pb2.ProbeReport) -> bool:
        if controller.session:
            told.append(said.healthy)
        return bool(controller.session)

    right = Right()
    spec = spec_pb2.NodeSpec()
    spec.egresses.add(id="e", public_ip="192.0.2.1")
    spec.gateway.probe_target, spec.gateway.probe_interval_s = "192.0.2.2:7", 1
    right.use_spec(spec)
    running = asyncio.create_task(Prober(right, report, controller.hear, "192.0.2.2:7443").run())

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.01)

    try:
        await until(lambda: told == [True])
        controller.session = 0
        await until(lambda: not results)
        controller.session = 2
        await until(lambda: len(told) > 1)
    finally:
        running.cancel()
    assert told == [True, True]
