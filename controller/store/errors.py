"""What can go wrong with the database, and the one place where psycopg's errors become ours.

An outcome of a statement (no such row) is data. A bug (wrong SQL, wrong parameter) stays what
psycopg raises, wrapped as `QueryFailed` so that callers above the store need not know psycopg.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import psycopg_pool
from psycopg import errors as pg


class StoreError(Exception):
    """The database did not do what was asked."""

    retry = False

    def __init__(self, detail: str = "") -> None:
        doc = (type(self).__doc__ or "").strip().splitlines()[0]
        super().__init__(f"{doc} ({detail})" if detail else doc)
        self.detail = detail


class StoreUnavailable(StoreError):
    """The database could not be reached or went away; uncommitted work is undone, try again.

    Where the connection broke during COMMIT, the transaction may have been committed or not.
    """

    retry = True


class TransactionConflict(StoreError):
    """Another transaction was in the way; this one is undone, do it again from its beginning."""

    retry = True


class RowRefused(StoreError):
    """A row breaks a constraint of the schema; the transaction is undone.

    `constraint` is the constraint's name as it stands in the schema.
    """

    def __init__(self, detail: str = "", constraint: str = "") -> None:
        super().__init__(detail)
        self.constraint = constraint


class DuplicateRow(RowRefused):
    """A row with this key exists already; the transaction is undone."""


class MissingReference(RowRefused):
    """A row names another one that does not exist, or is still named; the transaction is undone."""


class QueryFailed(StoreError):
    """PostgreSQL refused a statement; the transaction is undone. This is a bug."""


class NotOneRow(StoreError):
    """A query that must give exactly one row gave none or several."""


class SchemaMismatch(StoreError):
    """The database's schema is not the one this program was made for; nothing was changed."""


class QueryFileInvalid(StoreError):
    """A file of named queries does not have the form it must have."""


_UNAVAILABLE = (
    psycopg.InterfaceError,
    psycopg_pool.PoolTimeout,
    psycopg_pool.PoolClosed,
    psycopg_pool.TooManyRequests,
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.TooManyConnections,
    pg.IdleInTransactionSessionTimeout,
    # The operator makes room, and the same work succeeds.
    pg.DiskFull,
    pg.OutOfMemory,
)
_CONFLICT = (
    pg.SerializationFailure,
    pg.DeadlockDetected,
    pg.LockNotAvailable,
    pg.QueryCanceled,
)


def translate(error: psycopg.Error | psycopg_pool.PoolTimeout) -> StoreError:
    """The error of ours that stands for one of psycopg's."""
    detail = str(error).strip()
    constraint = (error.diag.constraint_name or "") if isinstance(error, psycopg.Error) else ""
    if isinstance(error, _CONFLICT):
        return TransactionConflict(detail)
    if isinstance(error, pg.UniqueViolation | pg.ExclusionViolation):
        return DuplicateRow(detail, constraint)
    if isinstance(error, pg.ForeignKeyViolation):
        return MissingReference(detail, constraint)
    if isinstance(error, psycopg.IntegrityError):
        return RowRefused(detail, constraint)
    # An OperationalError without SQLSTATE is the connection itself.
    if isinstance(error, _UNAVAILABLE) or (
        isinstance(error, psycopg.OperationalError) and error.sqlstate is None
    ):
        return StoreUnavailable(detail)
    return QueryFailed(detail)


@contextmanager
def translated() -> Iterator[None]:
    """Within this block psycopg's errors become the store's."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error) from error
