"""The rows about scale: one controller against 10, 100 and 1,000 agents over real gRPC and mTLS.

Each agent is a stream with a certificate of its own (lab.bench.scale_agents, in another process),
on a fleet of one egress with 8 mailboxes for each node, in a PostgreSQL that commits durably. All
agents together report 1,000 outcomes a second of messages that they have; leases are those of a
real fleet (60 s, renewed every 5 s). Counted are the controller's own processor time and memory,
not the agents' nor PostgreSQL's, and every grant.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from controller.keys.dkim import make_dkim_key
from controller.keys.sealing import dkim_key_row, open_sealer
from controller.postgres import EmbeddedServer
from controller.store.migrate import migrate
from lab.bench.errors import BenchError
from lab.bench.ground import wait_for
from lab.bench.result import Bar, Result, Side

_SIZES = (10, 100, 1000)
_OUTCOMES_PER_S = 1000
_FULL_S = 600.0
_CHECKOUT = Path(__file__).parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")

_FLEET = """
INSERT INTO client (id, name, unsubscribe_url, unsubscribe_mailto)
    VALUES ('bench', 'Bench', 'https://u.test/', 'u@u.test');
INSERT INTO domain (name, client_id, dkim_selector, dmarc_policy)
    VALUES ('bench.test', 'bench', 'pf1', 'none');
INSERT INTO node (id, address, hostname, ssh_port, ssh_user, host_key, capacity, failure_domain,
                  monthly_cost_eur)
    SELECT 'n' || n, inet '10.200.0.0' + n, 'n' || n || '.test', 22, 'root', '', 10, 'd' || n % 9, 0
    FROM generate_series(1, {nodes}) AS n;
INSERT INTO egress (id, client_id, public_ip, helo_name, kind, only_node, surrogate_index)
    SELECT 'e' || n, 'bench', inet '10.200.0.0' + n, 'e' || n || '.test', 'address', 'n' || n, n
    FROM generate_series(1, {nodes}) AS n;
INSERT INTO mailbox (address, domain, client_id, egress_id, display_name)
    SELECT 'box' || n || '-' || b || '@bench.test', 'bench.test', 'bench', 'e' || n, 'Box'
    FROM generate_series(1, {nodes}) AS n, generate_series(1, 8) AS b;
INSERT INTO assignment (egress_id, node_id)
    SELECT 'e' || n, 'n' || n FROM generate_series(1, {nodes}) AS n;
INSERT INTO message (id, client_id, idempotency_key, fingerprint, mailbox, egress_id, recipient,
                     provider, not_before, state, node_id, epoch, stored, size)
    SELECT lpad(i::text, 26, '0'), 'bench', i::text, '', 'box' || n || '-1@bench.test', 'e' || n,
           'r@x.test', 'other', now(), 'queued', 'n' || n, 1, true, 1
    FROM generate_series(1, {messages}) AS i, LATERAL (SELECT 1 + i % {nodes} AS n) AS node;
INSERT INTO message_content (message_id, content) SELECT id, '' FROM message;
"""
_MESSAGES = "SELECT node_id, array_agg(id ORDER BY id) FROM message GROUP BY node_id"


@dataclass(frozen=True)
class _Run:
    """What one size gave. `cores`: of the controller, over the time; `memory_mib`: its VmRSS."""

    agents: int
    cores: float
    postgres_cores: float
    memory_mib: float
    p50_ms: float
    p99_ms: float
    missed: int
    broken: int
    acknowledged_per_s: float

    def __str__(self) -> str:
        return (
            f"{self.agents} agents: {self.cores:.2f} cores (PostgreSQL {self.postgres_cores:.2f}), "
            f"{self.memory_mib:.0f} MB, heartbeat to grant p50 {self.p50_ms:.0f} ms, p99 "
            f"{self.p99_ms:.0f} ms, {self.missed} leases missed, {self.broken} streams broken, "
            f"{self.acknowledged_per_s:.0f} outcomes/s"
        )


def scale_rows(seconds: float, say: Callable[[str], None]) -> list[Result]:
    """Measure all sizes; the largest one for `seconds`, the others for a fifth of that."""
    runs = []
    with TemporaryDirectory(prefix="pfscale") as directory:
        for agents in _SIZES:
            length = seconds if agents == _SIZES[-1] else seconds / 5
            say(f"{agents} agents for {length:.0f} s")
            runs.append(_measure(Path(directory) / str(agents), agents, length))
            say(str(runs[-1]))
    few, many = runs[0], runs[-1]
    each_mib = (many.memory_mib - few.memory_mib) / (many.agents - few.agents)
    short = "" if seconds >= _FULL_S else f"; {seconds:.0f} s instead of {_FULL_S:.0f}"
    note = " | ".join(map(str, runs)) + short
    return [
        Result("controller, 1,000 agents, cores", many.cores, "", Bar(Side.AT_MOST, 1.0), note),
        Result("the same, leases missed", many.missed, "", Bar(Side.AT_MOST, 0)),
        Result("the same, memory of an agent", each_mib, "MB", Bar(Side.AT_MOST, 1.0)),
    ]


def _measure(directory: Path, agents: int, seconds: float) -> _Run:
    state = directory / "state"
    state.mkdir(parents=True)
    directory.chmod(0o755)
    with EmbeddedServer(directory / "pg") as postgres:
        dsn = postgres.dsn()
        migrate(dsn)
        _fill(dsn, state, agents, int(_OUTCOMES_PER_S * seconds * 1.1))
        with _controller(state, dsn, directory / "controller.log") as (controller, target):
            return _observe(controller, postgres, target, state, agents, seconds)


def _fill(dsn: str, state: Path, agents: int, messages: int) -> None:
    pair = make_dkim_key("bench.test")
    sealed = open_sealer(state).seal(pair.private_pem.encode(), dkim_key_row("bench.test", "pf1"))
    with psycopg.connect(dsn) as connection:
        connection.execute(_FLEET.format(nodes=agents, messages=messages))
        connection.execute(
            "INSERT INTO dkim_key (domain, selector, public_key, sealed_key)"
            " VALUES ('bench.test', 'pf1', %s, %s)",
            (pair.public_b64, sealed),
        )
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


@contextmanager
def _controller(state: Path, dsn: str, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The real process; gives it and where it listens."""
    argv = [sys.executable, "-m", "controller.main", "--state-dir", str(state), "--dsn", dsn]
    with log.open("wb") as to:
        process = subprocess.Popen(
            [*argv, "--listen", "127.0.0.1:0"], stdout=to, stderr=to, cwd=_CHECKOUT
        )
    try:
        wait_for(lambda: _port(log) or process.poll() is not None, "the controller listens", 60)
        if not _port(log):
            raise BenchError(f"the controller does not start: {log.read_text()[-1000:]}")
        yield process, f"127.0.0.1:{_port(log)}"
    finally:
        process.terminate()
        process.wait(timeout=60)


def _port(log: Path) -> int:
    for line in log.read_text().splitlines():
        if '"controller serves"' in line:
            return int(json.loads(line)["port"])
    return 0


def _observe(
    controller: subprocess.Popen[bytes],
    postgres: EmbeddedServer,
    target: str,
    state: Path,
    agents: int,
    seconds: float,
) -> _Run:
    argv = [sys.executable, "-m", "lab.bench.scale_agents", target, str(state), postgres.dsn(),
            str(seconds), str(_OUTCOMES_PER_S)]  # fmt: skip
    with psycopg.connect(postgres.dsn()) as connection:
        given = connection.execute(_MESSAGES).fetchall()
    said = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_CHECKOUT
    )
    assert said.stdin is not None
    assert said.stdout is not None
    said.stdin.writelines(f"{node} {' '.join(ids)}\n" for node, ids in given)
    said.stdin.close()
    if said.stdout.readline() != "ready\n":
        raise BenchError(f"not all of {agents} agents got a lease")
    began_s, cpu_s, pg_s = time.monotonic(), _cpu_s(controller.pid), _family_cpu_s(postgres)
    seen: dict[str, Any] = json.loads(said.stdout.readline())
    took_s = time.monotonic() - began_s
    cuts = quantiles(seen["grants"], n=100)
    run = _Run(
        agents=agents,
        cores=(_cpu_s(controller.pid) - cpu_s) / took_s,
        postgres_cores=(_family_cpu_s(postgres) - pg_s) / took_s,
        memory_mib=_resident_mib(controller.pid),
        p50_ms=cuts[49] * 1000,
        p99_ms=cuts[98] * 1000,
        missed=seen["missed"],
        broken=seen["broken"],
        acknowledged_per_s=seen["acknowledged"] / took_s,
    )
    said.wait(timeout=120)
    return run


def _cpu_s(pid: int) -> float:
    """User and system time of a process so far, all its threads; its ended children's too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / _TICKS


def _family_cpu_s(postgres: EmbeddedServer) -> float:
    """Of PostgreSQL's main process and the children it has now."""
    pid = postgres.pid()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(_cpu_s(int(each)) for each in (str(pid), *children))


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (each for each in status if each.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
