"""The one thread that touches the database, with group commit.

Everything that waits when a transaction begins goes into it, so one fsync serves many callers. An
operation that fails is rolled back to its own savepoint and fails alone. When the disk is full, new
work fails with DiskFullError; the rest gets the reserve and is tried once more.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from node_agent.agent.errors import DiskFullError, SpoolError
from node_agent.agent.spool.reserve import Reserve

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]

MAX_GROUP = 128


@dataclass(slots=True)
class _Job:
    operation: Operation[Any]
    is_new_work: bool
    done: Future[Any]
    result: Any = None
    # Not within a transaction.
    alone: bool = False


_STOP = _Job(lambda _: None, False, Future())


class SpoolThread:
    """Runs operations in order. `connect` is called once, in the thread."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], reserve: Reserve) -> None:
        self._connect = connect
        self._reserve = reserve
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name="spool", daemon=True)
        self._started: Future[None] = Future()
        self.commits = 0

    async def start(self) -> None:
        """Open the database. Raises SpoolError."""
        self._thread.start()
        await asyncio.wrap_future(self._started)

    async def run(self, operation: Operation[T], *, is_new_work: bool = False) -> T:
        """Run `operation` in a transaction; return after it is on disk.

        Raises what the operation raised (nothing of it is stored then), DiskFullError for new work
        without room, SpoolError when the database does not work any more.
        """
        job = _Job(operation, is_new_work, Future())
        self._jobs.put(job)
        # Shielded: a caller that is cancelled does not take its half-done work back.
        result: T = await asyncio.shield(asyncio.wrap_future(job.done))
        return result

    async def compact(self) -> None:
        """Give what the database does not need any more back to the disk."""
        await self.run(_vacuum)
        # The file shrinks when the log is copied into it, which no transaction may contain.
        job = _Job(_checkpoint, False, Future(), alone=True)
        self._jobs.put(job)
        await asyncio.shield(asyncio.wrap_future(job.done))

    async def stop(self) -> None:
        """Finish what waits, close the database."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _main(self) -> None:
        try:
            db = self._connect()
        except BaseException as error:
            self._started.set_exception(error)
            return
        self._started.set_result(None)
        try:
            while (job := self._jobs.get()) is not None:
                if job.alone:
                    _run_alone(db, job)
                    continue
                group, following = self._group(job)
                self._commit_group(db, group)
                if following is _STOP:
                    return
                if following is not None:
                    _run_alone(db, following)
        finally:
            db.close()

    def _group(self, first: _Job) -> tuple[list[_Job], _Job | None]:
        """What waits, and what came after it: _STOP, a job to be run alone, or nothing."""
        group = [first]
        while len(group) < MAX_GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None or job.alone:
                return group, job or _STOP
            group.append(job)
        return group, None

    def _commit_group(self, db: sqlite3.Connection, group: list[_Job]) -> None:
        try:
            failures = self._transaction(db, group)
        except sqlite3.Error as error:
            _roll_back(db)
            if len(group) > 1 and _is_full(error):
                for job in group:
                    self._commit_group(db, [job])
            elif _is_full(error) and not group[0].is_new_work and self._reserve.release():
                self._commit_group(db, group)
            else:
                for job in group:
                    job.done.set_exception(_translate(error, job))
            return
        for job in group:
            if id(job) in failures:
                job.done.set_exception(failures[id(job)])
            else:
                job.done.set_result(job.result)

    def _transaction(self, db: sqlite3.Connection, group: list[_Job]) -> dict[int, Exception]:
        failures: dict[int, Exception] = {}
        db.execute("BEGIN IMMEDIATE")
        for job in group:
            db.execute("SAVEPOINT job")
            try:
                job.result = job.operation(db)
            except sqlite3.OperationalError:
                raise
            except Exception as error:  # the caller's bug or refusal: it gets it back
                db.execute("ROLLBACK TO job")
                failures[id(job)] = error
            db.execute("RELEASE job")
        db.execute("COMMIT")
        self.commits += 1
        return failures


def _vacuum(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA incremental_vacuum(5000)").fetchall()


def _checkpoint(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _run_alone(db: sqlite3.Connection, job: _Job) -> None:
    try:
        job.done.set_result(job.operation(db))
    except sqlite3.Error as error:
        job.done.set_exception(_translate(error, job))


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def _translate(error: sqlite3.Error, job: _Job) -> Exception:
    if _is_full(error) and job.is_new_work:
        return DiskFullError(f"the spool's disk is full ({error}); nothing of the new was stored")
    return SpoolError(
        f"the spool does not work any more: {error}; what was stored stays on disk; "
        "look at its file system and restart the agent"
    )
