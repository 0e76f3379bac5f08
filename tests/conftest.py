"""Fixtures of all tests: a real PostgreSQL, and a fresh, migrated database for each test.

`database` is the DSN of a database of this test's own (made from a template in some 0.03 s);
`store` is an open controller.store.Store on it. Tests that take either are marked `postgres`.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from psycopg.types.json import Jsonb

from controller.postgres import EmbeddedServer
from controller.store import Store
from controller.store.migrate import migrate

# One commit gets one answer: examples are drawn from the test itself. `./run search` draws others.
# `./run test quick` takes fewer, where a test names no number of its own.
settings.register_profile("gate", derandomize=True)
settings.register_profile("quick", derandomize=True, max_examples=25)
settings.register_profile("search", derandomize=False, print_blob=True)
settings.load_profile("gate")

_UNPACED = {"spread": False, "min_gap_s": 0}
_UNHURRIED = {"mailbox_per_hour": 10_000, "egress_per_hour": 10_000, "domain_per_day": 100_000,
              "provider_egress_per_hour": 10_000}  # fmt: skip
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
            # Copying files beats logging pages four times over; the server is not durable anyway.
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
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


@pytest.fixture
def make_fleet(database: str) -> Callable[..., list[str]]:
    """Makes a client with domains, egresses and mailboxes; gives the mailboxes' addresses.

    `make_fleet("acme", mailboxes=4, egresses=2)`: mailboxes go to domains and egresses in turn.
    Nothing runs: these are rows as an inventory would leave them.
    """

    def make(client: str, mailboxes: int = 4, egresses: int = 2, domains: int = 1) -> list[str]:
        addresses = []
        with psycopg.connect(database) as connection:
            if not connection.execute("SELECT 1 FROM setting WHERE name = 'fleet'").fetchall():
                _set_fleet(connection, {}, None)
            connection.execute(
                "INSERT INTO client (id, name, unsubscribe_url, unsubscribe_mailto)"
                " VALUES (%s, %s, %s, %s)",
                (client, client.title(), f"https://u.{client}.test/", f"u@{client}.test"),
            )
            for n in range(domains):
                connection.execute(
                    "INSERT INTO domain (name, client_id, dkim_selector, dmarc_policy)"
                    " VALUES (%s, %s, 'pf1', 'none')",
                    (f"d{n}.{client}.test", client),
                )
            for n in range(egresses):
                connection.execute(
                    "INSERT INTO egress (id, client_id, public_ip, helo_name, kind,"
                    " surrogate_index) SELECT %s, %s, inet '198.51.100.0' + i, %s, 'socks5', i"
                    " FROM nextval('egress_surrogate') AS i",
                    (f"{client}-e{n}", client, f"e{n}.{client}.test"),
                )
            for n in range(mailboxes):
                domain = f"d{n % domains}.{client}.test"
                addresses.append(f"m{n:03}@{domain}")
                connection.execute(
                    "INSERT INTO mailbox (address, domain, client_id, egress_id, display_name)"
                    " VALUES (%s, %s, %s, %s, %s)",
                    (addresses[-1], domain, client, f"{client}-e{n % egresses}", f"Person {n}"),
                )
        return addresses

    return make


@pytest.fixture
def limit_fleet(database: str) -> Callable[..., None]:
    """Sets the fleet's caps: `limit_fleet(mailbox_per_day=2)`; and its pacing, where given.

    Without it, and in what is not said, mailboxes send as fast as their caps of a day admit.
    """

    def limit(pacing: dict[str, object] | None = None, **limits: int) -> None:
        with psycopg.connect(database) as connection:
            _set_fleet(connection, limits, pacing)

    return limit


def _set_fleet(
    connection: psycopg.Connection[Any], limits: dict[str, int], pacing: dict[str, object] | None
) -> None:
    fleet = {"name": "test", "limits": _UNHURRIED | limits, "pacing": pacing or _UNPACED}
    connection.execute(
        "INSERT INTO setting (name, value) VALUES ('fleet', %s)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (Jsonb(fleet),),
    )
