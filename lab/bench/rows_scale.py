"""The rows about scale: one controller against 10, 100 and 1,000 agents over real gRPC and mTLS.

Each agent is a stream with a certificate of its own (lab.bench.scale_agents, in another process).
All agents together report outcomes of messages that they have, a little more than 1,000 a second,
7 of 100 of them refusals;
leases are those of a real fleet (60 s, renewed every 5 s). Agents, PostgreSQL and controller share
the machine; counted are the controller's own processor time and memory, every grant, every lapse.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from controller.postgres import EmbeddedServer
from controller.store.migrate import migrate
from lab.bench.errors import BenchError
from lab.bench.result import Bar, Result, Side
from lab.bench.scale_ground import (
    MESSAGES,
    controller,
    cpu_s,
    end,
    family_cpu_s,
    fill,
    resident_mib,
)
from lab.settings import CHECKOUT

SIZES = (10, 100, 1000)
# Offered: a little more than the bar, because what is under way at the end does not count.
_OFFERED_PER_S = 1020
_FULL_S = 600.0


@dataclass(frozen=True)
class _Run:
    """What one size gave. `cores`: of the controller, over the time; `memory_mib`: its VmRSS."""

    agents: int
    cores: float
    postgres_cores: float
    memory_mib: float
    p50_ms: float
    p99_ms: float
    lapses: int
    broken: int
    offered_per_s: float
    stored_per_s: float

    def __str__(self) -> str:
        return (
            f"{self.agents} agents: {self.cores:.2f} cores (PostgreSQL {self.postgres_cores:.2f}), "
            f"{self.memory_mib:.0f} MB, heartbeat to grant p50 {self.p50_ms:.0f} ms, p99 "
            f"{self.p99_ms:.0f} ms, {self.lapses} leases lapsed, {self.broken} streams broken, "
            f"{self.stored_per_s:.0f} of {self.offered_per_s:.0f} outcomes/s stored"
        )


def scale_rows(seconds: float, say: Callable[[str], None]) -> list[Result]:
    """Measure all sizes; the largest one for `seconds`, the others for a fifth of that."""
    runs = []
    with TemporaryDirectory(prefix="pfscale") as directory:
        for agents in SIZES:
            length = seconds if agents == SIZES[-1] else seconds / 5
            say(f"{agents} agents for {length:.0f} s")
            runs.append(measure(Path(directory) / str(agents), agents, length))
            say(str(runs[-1]))
    few, many = runs[0], runs[-1]
    each_mib = (many.memory_mib - few.memory_mib) / (many.agents - few.agents)
    short = "" if seconds >= _FULL_S else f"; {seconds:.0f} s instead of {_FULL_S:.0f}"
    note = "\n    ".join(["how it grows", *map(str, runs)]) + short
    return [
        Result("controller, 1,000 agents, cores", many.cores, "", Bar(Side.AT_MOST, 1.0), note),
        Result("the same, outcomes stored a second", many.stored_per_s, "",
               Bar(Side.AT_LEAST, 1000),
               f"{many.offered_per_s:.0f} offered"),
        Result("the same, heartbeat to grant p99", many.p99_ms, "ms", Bar(Side.AT_MOST, 5000)),
        Result("the same, heartbeat to grant p50", many.p50_ms, "ms", Bar(Side.AT_MOST, 1000)),
        Result("the same, leases lapsed", many.lapses, "", Bar(Side.AT_MOST, 0)),
        Result("the same, memory of an agent", each_mib, "MB", Bar(Side.AT_MOST, 1.0)),
    ]  # fmt: skip


def measure(directory: Path, agents: int, seconds: float) -> _Run:
    """One size, on a database of its own that goes with `directory`."""
    state = directory / "state"
    state.mkdir(parents=True)
    # PostgreSQL may run as another user.
    for folder in (directory.parent, directory):
        folder.chmod(0o755)
    with EmbeddedServer(directory / "pg") as postgres:
        dsn = postgres.dsn()
        migrate(dsn)
        fill(dsn, state, agents, int(_OFFERED_PER_S * seconds * 1.1))
        with controller(state, dsn, directory / "controller.log") as (process, target):
            return _observe(process.pid, postgres, target, state, agents, seconds)


def _observe(
    pid: int, postgres: EmbeddedServer, target: str, state: Path, agents: int, seconds: float
) -> _Run:
    argv = [sys.executable, "-m", "lab.bench.scale_agents", target, str(state), postgres.dsn(),
            str(seconds), str(_OFFERED_PER_S)]  # fmt: skip
    with psycopg.connect(postgres.dsn()) as connection:
        given = connection.execute(MESSAGES).fetchall()
    said = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    )
    assert said.stdin is not None
    assert said.stdout is not None
    try:
        said.stdin.writelines(f"{node} {' '.join(ids)}\n" for node, ids in given)
        said.stdin.close()
        if said.stdout.readline() != "ready\n":
            raise BenchError(f"not all of {agents} agents got a lease")
        began_s, before_s, pg_s = time.monotonic(), cpu_s(pid), family_cpu_s(postgres)
        seen: dict[str, Any] = json.loads(said.stdout.readline())
        took_s = time.monotonic() - began_s
        return _Run(
            agents=agents,
            cores=(cpu_s(pid) - before_s) / took_s,
            postgres_cores=(family_cpu_s(postgres) - pg_s) / took_s,
            memory_mib=resident_mib(pid),
            **_milliseconds(seen["latencies_s"]),
            lapses=seen["lapses"],
            broken=seen["broken"],
            offered_per_s=seen["offered"] / took_s,
            stored_per_s=seen["acknowledged"] / took_s,
        )
    finally:
        end(said)


def _milliseconds(latencies_s: list[float]) -> dict[str, float]:
    cuts = quantiles(latencies_s, n=100)
    return {"p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000}
