"""The rows about new specs: from their being wanted to their being run, on eight real nodes.

One change concerns one node after the other. The others concern all eight, which apply at once and
share two cores here, as eight machines would not. What is seen is what an operator sees (`node
list`), 20 ms apart. Each change has a node prove one transport by a message through it.
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
# Of each row; more than a hundred, so that p99 is one of them.
_SPECS = 104
_POLL_S = 0.1
_TIMEOUT_S = 120.0

_Change = Callable[[FleetGround, int], None]


def spec_rows(say: Callable[[str], None]) -> list[Result]:
    """Measure the rows on a fleet of the reference's size."""
    with fleet_ground(say, _NODES, _MAILBOXES) as ground:
        return [
            _row(ground, "an egress of one node changed", _one_egress, 1, say),
            _row(ground, "an egress of each node changed", _one_egress_each, _NODES, say),
            _row(ground, "what all egresses share changed", _all_egresses, _NODES, say),
        ]


def _row(
    ground: FleetGround, name: str, change: _Change, nodes: int, say: Callable[[str], None]
) -> Result:
    """Measure a change that concerns so many nodes at a time."""
    took: list[float] = []
    changes = _SPECS // nodes
    for number in range(1, changes + 1):
        these = _seconds(ground, change, number, nodes)
        took += these
        say(f"{name}, {number}/{changes}: {max(these):.2f} s")
    note = f"p50 {_quantile(took, 0.5):.2f} s of {len(took)} specs; {_NODES} nodes on two cores"
    return Result(f"{name} → applied, p99", _quantile(took, 0.99), "s", Bar(Side.AT_MOST, 2), note)


def _one_egress(ground: FleetGround, number: int) -> None:
    """Another EHLO name for the first egress of one node, each in its turn."""
    nodes = len(ground.lab.nodes)
    # An inventory says all of it each time: the others keep the name that their last turn gave.
    _rename(ground, [(number + nodes - 1 - place) // nodes for place in range(nodes)])


def _one_egress_each(ground: FleetGround, number: int) -> None:
    """Another EHLO name for the first egress of each node."""
    _rename(ground, [1000 + number] * len(ground.lab.nodes))


def _rename(ground: FleetGround, versions: Sequence[int]) -> None:
    """Puts a version into the EHLO name of each node's first egress; 0: none."""
    first: dict[str, str] = {}
    for egress in ground.fleet.egresses():
        first.setdefault(egress.node_id, egress.helo_name)

    def edit(text: str) -> str:
        for (_, name), version in zip(sorted(first.items()), versions, strict=True):
            host, dot, domain = name.partition(".")
            plain = host.partition("-v")[0]
            new = f"{plain}-v{version}" if version else plain
            text = text.replace(f" {plain}{dot}{domain}", f" {new}{dot}{domain}")
        return text

    ground.change(edit)


def _all_egresses(ground: FleetGround, number: int) -> None:
    """Another lifetime for queued mail."""
    mail = f"{{minimal_backoff_s: 5, maximal_backoff_s: 20, queue_lifetime_s: {3600 + number}}}"
    ground.change(mail=mail)


def _seconds(ground: FleetGround, change: _Change, number: int, nodes: int) -> list[float]:
    """Seconds that each of so many nodes took for one change of the inventory."""
    before = {node.id: node.wanted_generation for node in ground.fleet.nodes()}
    with ThreadPoolExecutor(1) as pool:
        return _watch(ground, before, pool.submit(change, ground, number), nodes)


def _watch(
    ground: FleetGround, before: dict[str, int], applying: Future[None], nodes: int
) -> list[float]:
    wanted_at: dict[str, float] = {}
    took: dict[str, float] = {}
    until = time.monotonic() + _TIMEOUT_S
    while len(took) < nodes:
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
    if len(took) != nodes:
        raise BenchError(f"the change concerned {sorted(took)}, not {nodes} nodes")
    return list(took.values())


def _quantile(values: Sequence[float], share: float) -> float:
    """The least value that so much of all do not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]
