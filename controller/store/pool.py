"""The pool of connections that all parts of a controller share.

Does not migrate: `controller.store.migrate.migrate(dsn)` does, once at start.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from controller.store.connection import configure, connect, pool_parameters
from controller.store.errors import StoreUnavailable, TransactionConflict, translated
from controller.store.lock import AdvisoryLock
from controller.store.queries import Query
from controller.store.transaction import Row, Transaction

T = TypeVar("T")
_log = structlog.get_logger(__name__)
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification. With `channel` empty: the connection was (re)made, so look for yourself."""

    channel: str
    payload: str


class Store:
    """The database as the controller sees it. Safe for any number of tasks of one event loop."""

    def __init__(self, dsn: str, pool: AsyncConnectionPool[AsyncConnection[DictRow]]) -> None:
        self.dsn = dsn
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(
        cls, dsn: str, connections: int = 10, wait_s: float = 30
    ) -> AsyncIterator[Store]:
        """Opens 1..`connections` connections, waiting up to `wait_s` seconds for the first.

        `wait_s` also bounds how long a transaction waits for a free connection.
        Raises StoreUnavailable where the server cannot be reached.
        """
        pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            dsn,
            min_size=1,
            max_size=connections,
            kwargs=pool_parameters(),
            configure=configure,
            check=AsyncConnectionPool.check_connection,
            timeout=wait_s,
            open=False,
            name="store",
        )
        try:
            with translated():
                await pool.open(wait=True, timeout=wait_s)
            yield cls(dsn, pool)
        finally:
            await pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction (READ COMMITTED), committed durably when the block ends without error.

        A cancellation that arrives just as a query or the giving back of a connection ends can be
        swallowed on Python 3.11 (seen in 1 of 400); it is raised here then, after the commit.
        """
        cancelled_before = _cancellations()
        with translated():
            async with self._pool.connection() as connection, connection.transaction():
                yield Transaction(connection)
        if _cancellations() > cancelled_before:
            raise asyncio.CancelledError

    async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Runs `work` in a transaction, again from its beginning where another was in the way.

        At most 5 times; then TransactionConflict is raised. `work` must have no effect outside.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self.transaction() as tx:
                    return await work(tx)
            except TransactionConflict as conflict:
                if attempt == _ATTEMPTS:
                    raise
                _log.info("transaction is done again", attempt=attempt, why=conflict.detail)
                await asyncio.sleep(0.01 * 2**attempt)
        raise AssertionError("unreachable")

    async def execute(self, query: Query, /, **parameters: Any) -> int:
        """One statement in a transaction of its own; see Transaction.execute."""
        async with self.transaction() as tx:
            return await tx.execute(query, **parameters)

    async def execute_many(self, query: Query, rows: Iterable[Mapping[str, Any]], /) -> int:
        """See Transaction.execute_many."""
        async with self.transaction() as tx:
            return await tx.execute_many(query, rows)

    async def fetch_all(self, query: Query, /, **parameters: Any) -> list[Row]:
        """See Transaction.fetch_all."""
        async with self.transaction() as tx:
            return await tx.fetch_all(query, **parameters)

    async def fetch_optional(self, query: Query, /, **parameters: Any) -> Row | None:
        """See Transaction.fetch_optional."""
        async with self.transaction() as tx:
            return await tx.fetch_optional(query, **parameters)

    async def fetch_one(self, query: Query, /, **parameters: Any) -> Row:
        """See Transaction.fetch_one."""
        async with self.transaction() as tx:
            return await tx.fetch_one(query, **parameters)

    async def fetch_value(self, query: Query, /, **parameters: Any) -> Any:
        """See Transaction.fetch_value."""
        async with self.transaction() as tx:
            return await tx.fetch_value(query, **parameters)

    def advisory_lock(self, name: str) -> AdvisoryLock:
        """A lock of this name on a connection of its own."""
        return AdvisoryLock(self.dsn, name)

    async def listen(self, *channels: str) -> AsyncIterator[Notice]:
        """Notices of these channels, for ever, on a connection of its own.

        The first one, and one after each reconnection, has no channel: what was said meanwhile is
        lost, so the listener must look at the tables then.
        """
        pause_s = 0.1
        while True:
            try:
                with translated():
                    async with await connect(self.dsn) as connection:
                        for channel in channels:
                            await connection.execute(
                                sql.SQL("LISTEN {}").format(sql.Identifier(channel))
                            )
                        pause_s = 0.1
                        yield Notice("", "")
                        async for notify in connection.notifies():
                            yield Notice(notify.channel, notify.payload)
            except StoreUnavailable as error:
                _log.warning("listening again", channels=channels, why=error.detail)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 5)


def _cancellations() -> int:
    """How often the running task was asked to end and has not taken that back."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0
