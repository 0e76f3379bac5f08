"""The row about `postfleet simulate`: ninety days of the reference fleet, on all cores."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable

from controller.providers.table import open_table
from controller.simulation.scenario_file import Known, load
from controller.simulation.simulate import simulate
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
    cores = len(os.sched_getaffinity(0))
    began, worked = time.monotonic(), _cpu_s()
    found = simulate(inventory, scenario, _DAYS, cores=cores)
    took, worked = time.monotonic() - began, _cpu_s() - worked
    if found.cap_violations:
        raise BenchError(
            f"{found.cap_violations:,} messages passed a cap: no figure of this counts"
        )
    peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    note = (
        f"{found.delivered:,} messages, {worked:.1f} s of CPU, {cores} cores, each process "
        f"{peak_mib:.0f} MB at most"
    )
    name = f"simulate, {_DAYS} days, {found.mailboxes:,} mailboxes"
    return [Result(name, took, "s", Bar(Side.AT_MOST, 60), note)]


def _cpu_s() -> float:
    """Seconds of CPU, of this process and those that it waited for."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
