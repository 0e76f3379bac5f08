"""The row about `postfleet simulate`: ninety days of the reference fleet, on one core."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

from controller.providers.table import open_table
from controller.simulation.run import simulate
from controller.simulation.scenario_file import Known, load
from inventory.load import parse
from inventory.reference import render
from lab.bench.errors import BenchError
from lab.bench.result import Bar, Result, Side

_DAYS = 90
_SCENARIO = "steady"


def simulate_rows(say: Callable[[str], None]) -> list[Result]:
    """Seconds on the clock, as whoever waits for it counts them."""
    inventory = parse(render(), "the reference fleet").inventory
    known = Known(open_table().names, [client.id for client in inventory.clients])
    scenario = load(_SCENARIO, known)
    say(f"simulating {_DAYS} days")
    began, worked = time.monotonic(), time.process_time()
    found = simulate(inventory, scenario, _DAYS)
    took, worked = time.monotonic() - began, time.process_time() - worked
    if found.cap_violations:
        raise BenchError(
            f"{found.cap_violations:,} messages passed a cap: no figure of this counts"
        )
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    note = f"{found.delivered:,} messages, {worked:.1f} s of one core, {peak_mib:.0f} MB at most"
    name = f"simulate, {_DAYS} days, {found.mailboxes:,} mailboxes"
    return [Result(name, took, "s", Bar(Side.AT_MOST, 60), note)]
