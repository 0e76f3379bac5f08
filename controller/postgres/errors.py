"""What can go wrong with the embedded server."""

from __future__ import annotations


class PostgresError(Exception):
    """The embedded PostgreSQL could not do what was asked."""


class BinariesMissing(PostgresError):
    """No PostgreSQL server was found on this machine."""


class WrongVersion(PostgresError):
    """The data directory belongs to another major version of PostgreSQL."""


class StartFailed(PostgresError):
    """The server did not start; the data directory is as it was."""


class StopFailed(PostgresError):
    """The server did not stop in time; it still runs."""


class NotADataDirectory(PostgresError):
    """The directory holds something else than a PostgreSQL data directory."""
