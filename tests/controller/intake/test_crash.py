"""PostgreSQL is killed while batches are being stored."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from controller.intake.check import Submission
from controller.intake.ingest import Taken, ingest
from controller.postgres import EmbeddedServer
from controller.store import Store
from controller.store.errors import StoreUnavailable
from controller.store.migrate import migrate

pytestmark = pytest.mark.postgres
BATCHES, SIZE = 24, 50


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


def batch(number: int) -> list[Submission]:
    body = b"Subject: hello\r\n\r\n" + b"x" * 70 + b"\r\n"
    return [
        Submission(f"{number}-{n}", "acme", "", f"r{n}@x.test", None, body) for n in range(SIZE)
    ]


async def test_every_message_is_there_once_after_postgresql_is_killed_in_mid_batch(
    own_server: EmbeddedServer, database: str, make_fleet: Callable[..., list[str]]
) -> None:
    make_fleet("acme")
    answered: dict[str, str] = {}
    broken: list[int] = []

    async with Store.open(database) as store:

        async def submit(number: int) -> None:
            messages = batch(number)
            try:
                results = await ingest(store, messages)
            except StoreUnavailable:
                broken.append(number)
                return
            for message, result in zip(messages, results, strict=True):
                assert isinstance(result, Taken)
                known = answered.setdefault(message.idempotency_key, result.message_id)
                assert known == result.message_id

        for kill_after in (3, 5, 8):
            broken.clear()
            tasks = [asyncio.create_task(submit(n)) for n in range(BATCHES)]
            while sum(task.done() for task in tasks) < kill_after:
                await asyncio.sleep(0.001)
            pid = own_server.pid()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            # The pool waits for a connection: bring the server back while they wait.
            await asyncio.to_thread(own_server.start)
            await asyncio.gather(*tasks)
            for number in list(broken):
                await submit(number)

    with psycopg.connect(database) as connection:
        stored = dict(
            connection.execute(
                "SELECT idempotency_key, id FROM submission JOIN message ON id = message_id"
            ).fetchall()
        )
        (contents,) = connection.execute("SELECT count(*) FROM message_content").fetchone() or (0,)
    assert stored == answered
    assert len(stored) == contents == BATCHES * SIZE
