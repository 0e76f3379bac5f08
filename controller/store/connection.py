"""How every connection to the database is made: session settings and adapters.

Sessions run in UTC, commit durably, and neither wait for a lock nor stay idle in a transaction for
ever: a controller that hangs must not hold up the others.
"""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import JsonbDumper

# libpq's TCP keepalives find a dead server within a minute; they mean nothing on a unix socket.
_PARAMETERS: dict[str, Any] = {
    "application_name": "postfleet",
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "options": "-c timezone=UTC -c lock_timeout=30s -c idle_in_transaction_session_timeout=120s"
    " -c search_path=public",
}


async def configure(connection: AsyncConnection[Any]) -> None:
    """Makes `dict` go to jsonb. Other types need nothing."""
    connection.adapters.register_dumper(dict, JsonbDumper)


async def connect(dsn: str) -> AsyncConnection[DictRow]:
    """A connection of its own, outside the pool, in autocommit mode."""
    connection = await AsyncConnection.connect(
        dsn, autocommit=True, row_factory=dict_row, **_PARAMETERS
    )
    await configure(connection)
    return connection


def connect_blocking(dsn: str) -> Connection[DictRow]:
    """The same for programs without an event loop (migrations, tests)."""
    connection = Connection.connect(dsn, autocommit=True, row_factory=dict_row, **_PARAMETERS)
    connection.adapters.register_dumper(dict, JsonbDumper)
    return connection


def pool_parameters() -> dict[str, Any]:
    """Keyword arguments for the connections of a pool."""
    return {"autocommit": True, "row_factory": dict_row, **_PARAMETERS}
