"""Fixtures of all tests: a real PostgreSQL, and a fresh, migrated database for each test.

`database` is the DSN of a database of this test's own (made from a template in some 0.03 s);
`store` is an open controller.store.Store on it. Tests that take either are marked `postgres`.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from psycopg import sql

from controller.postgres import EmbeddedServer
from controller.store import Store
from controller.store.migrate import migrate

_TEMPLATE = "fleet_template"
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "postgres_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.postgres)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One server for the run. It survives what tests may do to processes, not a power cut."""
    directory = tmp_path_factory.mktemp("postgres")
    with EmbeddedServer(directory, overrides={"fsync": "off", "max_connections": "100"}) as server:
        yield server


@pytest.fixture(scope="session")
def database_template(postgres_server: EmbeddedServer) -> str:
    """The name of a database with all migrations applied, from which others are copied."""
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
    migrate(postgres_server.dsn(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture
def database(postgres_server: EmbeddedServer, database_template: str) -> Iterator[str]:
    """The DSN of a fresh database with the schema and nothing in it."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(database_template)
            )
        )
        yield postgres_server.dsn(name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    """An open store on `database`."""
    async with Store.open(database) as opened:
        yield opened
