"""The rows about the planner: assignments a second, and what a million waiting messages change.

A planner alone, with the ledger in a PostgreSQL that commits durably, on the reference fleet: 1,200
mailboxes of 3 clients, 40 domains, 150 egresses, all slots due and no limit binding, so that every
round assigns a whole batch. Half of the messages name their mailbox; they go to 4 providers. Each
measurement has a database and a process of its own; its memory is that of the process alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from controller.postgres import EmbeddedServer
from controller.store.migrate import migrate
from lab.bench.errors import BenchError
from lab.bench.result import Bar, Result, Side, median_ratio, spread

_FEW, _MANY = 10_000, 1_000_000
# Of so many that wait, planned in each measurement.
_ASSIGNED = 6_000
_CHECKOUT = Path(__file__).parents[2]

_FLEET = """
INSERT INTO setting (name, value) VALUES ('fleet', '{"name": "bench",
    "pacing": {"spread": false, "min_gap_s": 0},
    "limits": {"mailbox_per_hour": 100000, "mailbox_per_day": 100000, "egress_per_hour": 1000000,
               "egress_per_day": 1000000, "domain_per_day": 10000000,
               "domain_provider_per_day": 10000000, "provider_egress_per_hour": 1000000}}');
INSERT INTO client (id, name, unsubscribe_url, unsubscribe_mailto)
    SELECT 'c' || c, 'Client', 'https://u.test/', 'u@u.test' FROM generate_series(0, 2) AS c;
INSERT INTO domain (name, client_id, dkim_selector, dmarc_policy)
    SELECT 'd' || d || '.test', 'c' || d % 3, 'pf1', 'none' FROM generate_series(0, 39) AS d;
INSERT INTO egress (id, client_id, public_ip, helo_name, kind, surrogate_index)
    SELECT 'e' || e, 'c' || e % 3, inet '198.51.100.0' + e, 'e' || e || '.test', 'socks5', e + 1
    FROM generate_series(0, 149) AS e;
-- Mailbox n is on domain n % 40; its egress is one of the same client.
INSERT INTO mailbox (address, domain, client_id, egress_id, display_name)
    SELECT 'box' || n || '@d' || n % 40 || '.test', 'd' || n % 40 || '.test', 'c' || n % 40 % 3,
           'e' || (n / 8 % 50) * 3 + n % 40 % 3, 'Box'
    FROM generate_series(0, 1199) AS n;
"""
_MESSAGES = """
INSERT INTO message (id, client_id, mailbox, recipient, provider, not_before, size)
    SELECT lpad(i::text, 26, '0'), 'c' || n % 40 % 3,
           CASE WHEN i % 2 = 0 THEN 'box' || n || '@d' || n % 40 || '.test' END,
           md5(i::text) || '@x.test',
           (ARRAY['google', 'microsoft', 'yahoo', 'other'])[1 + i % 4],
           now() - interval '1 day' + i * interval '10 milliseconds', 1
    FROM generate_series(1, {count}) AS i, LATERAL (SELECT i / 2 % 1200 AS n) AS box;
"""
_CONTENTS = "INSERT INTO message_content (message_id, content) SELECT id, '' FROM message"


def planner_rows(rounds: int, say: Callable[[str], None]) -> list[Result]:
    """Measure them."""
    rates: dict[int, list[float]] = {_FEW: [], _MANY: []}
    memory: dict[int, list[float]] = {_FEW: [], _MANY: []}
    with TemporaryDirectory(prefix="pfbench") as directory:
        Path(directory).chmod(0o755)
        with EmbeddedServer(Path(directory) / "pg") as server:
            for waiting in (_FEW, _MANY):
                say(f"filling a database with {waiting:,} waiting messages")
                _fill(server, f"template_{waiting}", waiting)
            for number in range(rounds):
                for waiting in (_FEW, _MANY):
                    told = _measure(server, waiting, number)
                    rates[waiting].append(told["assigned"] / told["seconds"])
                    memory[waiting].append(told["memory_mb"])
                say(
                    f"round {number + 1}/{rounds}: {rates[_FEW][-1]:.0f} assignments/s with "
                    f"{_FEW:,} waiting, {rates[_MANY][-1]:.0f} with {_MANY:,}"
                )
    note = f"{spread(rates[_FEW])} with {_FEW:,} waiting, {spread(rates[_MANY])} with {_MANY:,}"
    held = f"{median(memory[_FEW]):.0f} MB with {_FEW:,}, {median(memory[_MANY]):.0f} MB"
    return [
        Result("planner, 1,200 mailboxes", median(rates[_FEW]), "assignments/s",
               Bar(Side.AT_LEAST, 3000), note),
        Result("cost of an assignment, 1,000,000 waiting vs 10,000",
               median_ratio(rates[_FEW], rates[_MANY]), "", Bar(Side.AT_MOST, 1.1)),
        Result("planner memory, 1,000,000 waiting vs 10,000",
               median_ratio(memory[_MANY], memory[_FEW]), "", Bar(Side.AT_MOST, 1.1), held),
    ]  # fmt: skip


def _fill(server: EmbeddedServer, name: str, waiting: int) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    migrate(server.dsn(name))
    with psycopg.connect(server.dsn(name), autocommit=True) as connection:
        connection.execute(_FLEET.encode())
        connection.execute(_MESSAGES.format(count=waiting).encode())
        connection.execute(_CONTENTS)
        connection.execute("VACUUM ANALYZE")


def _measure(server: EmbeddedServer, waiting: int, number: int) -> dict[str, Any]:
    """Plan in a copy of the database, made for this and dropped afterwards."""
    name = f"round_{waiting}_{number}"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template_{waiting} STRATEGY file_copy".encode()
        )
        connection.execute("CHECKPOINT")
        process = subprocess.run(
            [sys.executable, "-m", "lab.bench.planner_run", server.dsn(name), str(_ASSIGNED)],
            capture_output=True,
            text=True,
            cwd=_CHECKOUT,
            check=False,
        )
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    if process.returncode:
        raise BenchError(f"the planner failed: {process.stderr.strip()[-500:]}")
    told: dict[str, Any] = json.loads(process.stdout)
    return told
