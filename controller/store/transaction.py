"""What can be done inside a transaction. See the package's docstring for examples.

Takes `Query` objects of controller.store.queries only: SQL text has its home in .sql files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, AsyncCursor, sql
from psycopg.rows import DictRow

from controller.store.errors import NotOneRow, translated
from controller.store.queries import Query

Row = dict[str, Any]


class Transaction:
    """One open transaction. Ends with the block that made it; not for use by several tasks."""

    def __init__(self, connection: AsyncConnection[DictRow]) -> None:
        self._connection = connection

    async def _run(self, query: Query, parameters: Mapping[str, Any]) -> AsyncCursor[DictRow]:
        with translated():
            return await self._connection.execute(query.sql, parameters)

    async def execute(self, query: Query, /, **parameters: Any) -> int:
        """Runs a statement; gives how many rows it touched."""
        return (await self._run(query, parameters)).rowcount

    async def execute_many(self, query: Query, rows: Iterable[Mapping[str, Any]], /) -> int:
        """Runs a statement once per row of parameters, pipelined; gives how many it touched."""
        with translated():
            async with self._connection.cursor() as cursor:
                await cursor.executemany(query.sql, list(rows))
                return cursor.rowcount

    async def fetch_all(self, query: Query, /, **parameters: Any) -> list[Row]:
        """All rows."""
        cursor = await self._run(query, parameters)
        with translated():
            return await cursor.fetchall()

    async def fetch_optional(self, query: Query, /, **parameters: Any) -> Row | None:
        """The row, or None where there is none. Raises NotOneRow for several."""
        rows = await self.fetch_all(query, **parameters)
        if len(rows) > 1:
            raise NotOneRow(f"{query} gave {len(rows)} rows for {sorted(parameters)}")
        return rows[0] if rows else None

    async def fetch_one(self, query: Query, /, **parameters: Any) -> Row:
        """The only row. Raises NotOneRow for none and for several."""
        row = await self.fetch_optional(query, **parameters)
        if row is None:
            raise NotOneRow(f"{query} gave no row")
        return row

    async def fetch_value(self, query: Query, /, **parameters: Any) -> Any:
        """The first column of the only row."""
        return next(iter((await self.fetch_one(query, **parameters)).values()))

    async def copy_in(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        types: Sequence[str] = (),
    ) -> None:
        """Inserts rows by COPY: the fastest way for many. One bad row undoes the transaction.

        With `types` (PostgreSQL's names, one per column) in COPY's binary form, which spares
        escaping; values must then have exactly these types.
        """
        form = sql.SQL(" (FORMAT BINARY)") if types else sql.SQL("")
        statement = sql.SQL("COPY {} ({}) FROM STDIN{}").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns)), form
        )
        with translated():
            async with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
                if types:
                    copy.set_types(types)
                for row in rows:
                    await copy.write_row(row)

    async def now(self) -> datetime:
        """When this transaction began, by the fleet's clock: the database's. Aware, in UTC."""
        with translated():
            row = await (await self._connection.execute("SELECT now() AS now")).fetchone()
        if row is None:
            raise NotOneRow("the database does not say what time it is")
        now: datetime = row["now"]
        return now

    async def notify(self, channel: str, payload: str = "") -> None:
        """Wakes who listens on the channel, at commit. The payload is at most 7,999 bytes."""
        with translated():
            await self._connection.execute("SELECT pg_notify(%s, %s)", (channel, payload))

    async def lock(self, name: str) -> None:
        """Waits for the advisory lock of this name; it is given back at the transaction's end."""
        with translated():
            await self._connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,)
            )
