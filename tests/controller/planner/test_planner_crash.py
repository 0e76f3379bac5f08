"""PostgreSQL is killed while planners work: no cap is passed and no message charged twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from controller.planner.cycle import Planner
from controller.postgres import EmbeddedServer
from controller.store import Store
from controller.store.errors import StoreError
from controller.store.migrate import migrate

pytestmark = pytest.mark.postgres
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MESSAGES, CAP = 3000, 30


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of this test's own, as durable as in operation."""
    with EmbeddedServer(tmp_path) as server:
        yield server


@pytest.fixture
def database(own_server: EmbeddedServer) -> str:
    """Takes the place of the shared server's database, so that make_fleet fills this one."""
    migrate(own_server.dsn())
    return own_server.dsn()


async def test_the_ledger_is_true_after_postgresql_was_killed_under_two_planners(
    own_server: EmbeddedServer,
    database: str,
    make_fleet: Callable[..., list[str]],
    limit_fleet: Callable[..., None],
) -> None:
    addresses = make_fleet("acme", mailboxes=40, egresses=8)
    limit_fleet(mailbox_per_day=CAP, egress_per_day=500)
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO message (id, client_id, recipient,"
            " not_before, size) SELECT lpad(i::text, 26, '0'), 'acme', 'r@x.test',"
            " %s, 1 FROM generate_series(1, %s) AS i",
            (NOON, MESSAGES),
        )
    async with Store.open(database) as store:
        finished = asyncio.Event()

        async def plan() -> None:
            planner = Planner(store, 10, lambda: NOON)
            while not finished.is_set():
                try:
                    await planner.run_cycle()
                except StoreError:
                    await asyncio.sleep(0.05)

        tasks = [asyncio.create_task(plan()) for _ in range(2)]
        for _ in range(3):
            await asyncio.sleep(0.3)
            pid = own_server.pid()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(own_server.start)
        async with asyncio.timeout(200):
            while scheduled(database) < CAP * len(addresses):
                await asyncio.sleep(0.1)
        finished.set()
        await asyncio.gather(*tasks)

    with psycopg.connect(database) as connection:
        ledger = connection.execute(
            "SELECT subject, used FROM ledger WHERE scope = 'mailbox' ORDER BY 1"
        ).fetchall()
        charged = connection.execute(
            "SELECT mailbox, count(*) FROM message WHERE charged_day IS NOT NULL"
            " AND state = 'scheduled' GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert ledger == charged == [(address, CAP) for address in addresses]


def scheduled(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM message WHERE state = 'scheduled'")
        return int((row.fetchone() or (0,))[0])
