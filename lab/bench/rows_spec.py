"""The row about new specs: from their being wanted to their being run, on eight real nodes.

Each change of the inventory concerns every node, so all eight apply at once; they share two cores
here, which eight machines would not. What is seen is what an operator sees (`node list`), 20 ms
apart.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from lab.bench.errors import BenchError
from lab.bench.fleet_ground import FleetGround, fleet_ground
from lab.bench.result import Bar, Result, Side

_NODES, _MAILBOXES = 8, 1200
# With eight nodes more than a hundred samples, so that p99 is one of them.
_CHANGES = 15
_POLL_S = 0.02
_TIMEOUT_S = 120.0


def spec_rows(say: Callable[[str], None]) -> list[Result]:
    """Measure the row on a fleet of the reference's size."""
    with fleet_ground(say, _NODES, _MAILBOXES) as ground:
        took: list[float] = []
        for number in range(_CHANGES):
            took += _one_change(ground, number)
            say(f"change {number + 1}/{_CHANGES}: the slowest node {max(took[-_NODES:]):.2f} s")
    note = f"p50 {_quantile(took, 0.5):.2f} s of {len(took)} applied by {_NODES} nodes on two cores"
    p99 = _quantile(took, 0.99)
    return [Result("new spec wanted → applied, p99", p99, "s", Bar(Side.AT_MOST, 2), note)]


def _one_change(ground: FleetGround, number: int) -> list[float]:
    """Seconds that each node took for one change of the inventory."""
    before = {node.id: node.wanted_generation for node in ground.fleet.nodes()}
    mail = f"{{minimal_backoff_s: 5, maximal_backoff_s: 20, queue_lifetime_s: {3601 + number}}}"
    with ThreadPoolExecutor(1) as pool:
        applying = pool.submit(ground.change, mail=mail)
        return _watch(ground, before, applying)


def _watch(ground: FleetGround, before: dict[str, int], applying: Future[None]) -> list[float]:
    wanted_at: dict[str, float] = {}
    took: dict[str, float] = {}
    until = time.monotonic() + _TIMEOUT_S
    while len(took) < len(before):
        now = time.monotonic()
        if now > until:
            raise BenchError(f"not applied: {sorted(before.keys() - took.keys())}")
        for node in ground.fleet.nodes():
            if node.spec_error:
                raise BenchError(f"{node.id} could not apply its spec: {node.spec_error}")
            if node.wanted_generation > before[node.id]:
                began = wanted_at.setdefault(node.id, now)
                if node.running_generation >= node.wanted_generation:
                    took.setdefault(node.id, now - began)
        time.sleep(_POLL_S)
    applying.result()
    return list(took.values())


def _quantile(values: Sequence[float], share: float) -> float:
    """The least value that so much of all do not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]
