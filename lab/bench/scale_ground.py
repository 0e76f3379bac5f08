"""Where the rows about scale take place: a fleet in a database, a controller that serves it.

One egress with 8 mailboxes for each node, a domain for four nodes, in a PostgreSQL that commits
durably; messages that lie in their nodes' queues, so that there is something to report. Nothing of
it remains, also where the measurement is ended by a signal.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from controller.keys.dkim import make_dkim_key
from controller.keys.sealing import dkim_key_row, open_sealer
from controller.postgres import EmbeddedServer
from lab.bench.errors import BenchError
from lab.bench.ground import wait_for
from lab.settings import CHECKOUT

_TICKS = os.sysconf("SC_CLK_TCK")

_FLEET = """
INSERT INTO client (id, name, unsubscribe_url, unsubscribe_mailto)
    VALUES ('bench', 'Bench', 'https://u.test/', 'u@u.test');
INSERT INTO domain (name, client_id, dkim_selector, dmarc_policy)
    SELECT 'b' || n || '.test', 'bench', 'pf1', 'none' FROM generate_series(0, {nodes} / 4) AS n;
INSERT INTO node (id, address, hostname, ssh_port, ssh_user, host_key, capacity, failure_domain,
                  monthly_cost_eur)
    SELECT 'n' || n, inet '10.200.0.0' + n, 'n' || n || '.test', 22, 'root', '', 10, 'd' || n % 9, 0
    FROM generate_series(1, {nodes}) AS n;
INSERT INTO egress (id, client_id, public_ip, helo_name, kind, only_node, surrogate_index)
    SELECT 'e' || n, 'bench', inet '10.200.0.0' + n, 'e' || n || '.test', 'address', 'n' || n, n
    FROM generate_series(1, {nodes}) AS n;
INSERT INTO mailbox (address, domain, client_id, egress_id, display_name)
    SELECT 'box' || n || '-' || b || '@b' || n / 4 || '.test', 'b' || n / 4 || '.test', 'bench',
           'e' || n, 'Box'
    FROM generate_series(1, {nodes}) AS n, generate_series(1, 8) AS b;
INSERT INTO assignment (egress_id, node_id)
    SELECT 'e' || n, 'n' || n FROM generate_series(1, {nodes}) AS n;
INSERT INTO message (id, client_id, mailbox, egress_id, recipient,
                     provider, not_before, state, node_id, epoch, stored, size)
    SELECT lpad(i::text, 26, '0'), 'bench', 'box' || n || '-1@b' || n / 4 || '.test',
           'e' || n, 'r' || i || '@x.test', 'other', now(), 'queued', 'n' || n, 1, true, 1
    FROM generate_series(1, {messages}) AS i, LATERAL (SELECT 1 + i % {nodes} AS n) AS node;
INSERT INTO message_content (message_id, content) SELECT id, '' FROM message;
"""
MESSAGES = "SELECT node_id, array_agg(id ORDER BY id) FROM message GROUP BY node_id"


def fill(dsn: str, state: Path, agents: int, messages: int) -> None:
    """The fleet, with so many messages in its queues, evenly."""
    pair, sealer = make_dkim_key("b0.test"), open_sealer(state)
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(_FLEET.format(nodes=agents, messages=messages))
        cursor.execute("SELECT name FROM domain")
        rows = [
            (name, pair.public_b64,
             sealer.seal(pair.private_pem.encode(), dkim_key_row(name, "pf1")))
            for (name,) in cursor.fetchall()
        ]  # fmt: skip
        cursor.executemany(
            "INSERT INTO dkim_key (domain, selector, public_key, sealed_key)"
            " VALUES (%s, 'pf1', %s, %s)",
            rows,
        )
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


@contextmanager
def controller(state: Path, dsn: str, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The real process; gives it and where it listens."""
    argv = [sys.executable, "-m", "controller.main", "--state-dir", str(state), "--dsn", dsn]
    with log.open("wb") as to:
        process = subprocess.Popen(
            [*argv, "--listen", "127.0.0.1:0"], stdout=to, stderr=to, cwd=CHECKOUT
        )
    try:
        wait_for(lambda: _port(log) or process.poll() is not None, "the controller listens", 60)
        if not _port(log):
            raise BenchError(f"the controller does not start: {log.read_text()[-1000:]}")
        yield process, f"127.0.0.1:{_port(log)}"
    finally:
        end(process)


def end(process: subprocess.Popen[Any]) -> None:
    """Asks it to stop, and does not let it stay."""
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _port(log: Path) -> int:
    for line in log.read_text().splitlines():
        if '"controller serves"' in line:
            return int(json.loads(line)["port"])
    return 0


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, all its threads; its ended children's too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / _TICKS


def family_cpu_s(postgres: EmbeddedServer) -> float:
    """Of PostgreSQL's main process and the children it has now."""
    pid = postgres.pid()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(cpu_s(int(each)) for each in (str(pid), *children))


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (each for each in status if each.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
