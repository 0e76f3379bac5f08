"""An advisory lock held by a connection of its own: who holds it runs the fleet's loops.

The lock lives as long as its connection: a controller that dies or loses its server loses it, and
PostgreSQL gives it to the next who asks. It says "I was alone when I looked", never "I am alone":
decisions that need more carry an epoch in the transaction that makes them.
"""

from __future__ import annotations

from typing import Self

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from controller.store.connection import connect
from controller.store.errors import StoreError, translated


class AdvisoryLock:
    """A named lock. Use `async with`; acquire within. One task at a time."""

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn = dsn
        self._name = name
        self._connection: AsyncConnection[DictRow] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.release()

    async def try_acquire(self) -> bool:
        """True: this process holds it. False: somebody else does. An error: nobody knows.

        Asking again while holding it is allowed and cheap.
        """
        if await self.still_held():
            return True
        with translated():
            connection = await connect(self._dsn)
            held = False
            try:
                cursor = await connection.execute(
                    "SELECT pg_try_advisory_lock(hashtextextended(%s, 0)) AS held", (self._name,)
                )
                row = await cursor.fetchone()
                held = bool(row and row["held"])
            finally:
                # Also where the task was cancelled meanwhile.
                if not held:
                    await connection.close()
        if held:
            self._connection = connection
        return held

    async def still_held(self) -> bool:
        """Whether the connection that holds the lock still answers."""
        if self._connection is None:
            return False
        try:
            with translated():
                await self._connection.execute("SELECT 1")
        except StoreError:
            await self.release()
            return False
        return True

    async def release(self) -> None:
        """Gives the lock back. Not holding it is no error."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
