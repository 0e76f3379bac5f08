"""Brings a database to the schema of this program: runs the files of migrations/ not run yet.

Files are called NNNN_what.sql and only append: a file that has been applied is never changed (its
SHA-256 is kept and compared). Each runs in a transaction of its own, all under one advisory lock,
so any number of controllers may start at once. A database that has a migration this program does
not know is refused: it belongs to a newer one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from psycopg import Connection
from psycopg.rows import DictRow

from controller.store.connection import connect_blocking
from controller.store.errors import SchemaMismatch, translated

_FILE = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migration (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""
_LOCK = "hashtextextended('postfleet migrations', 0)"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, name, text and digest."""

    version: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Digest of the text, hexadecimal."""
        return sha256(self.text.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All migrations of this program in order, numbered 1, 2, … without holes."""
    found = []
    for file in files("controller.store").joinpath("migrations").iterdir():
        match = _FILE.match(file.name)
        if match is None:
            raise SchemaMismatch(f"migrations/{file.name}: not a name like 0002_what.sql")
        found.append(Migration(int(match[1]), file.name, file.read_text(encoding="utf-8")))
    found.sort(key=lambda m: (m.version, m.name))
    if [m.version for m in found] != list(range(1, len(found) + 1)):
        raise SchemaMismatch(f"numbers twice or missing: {', '.join(m.name for m in found)}")
    return found


def pending(applied: dict[int, str], known: list[Migration]) -> list[Migration]:
    """What is still to be applied, given version -> SHA-256 of what was. Pure."""
    newer = sorted(set(applied) - {m.version for m in known})
    if newer:
        raise SchemaMismatch(
            f"the database has migration {newer[-1]}, this program knows up to {len(known)}: "
            "it was used by a newer postfleet; run that version"
        )
    for migration in known:
        if applied.get(migration.version, migration.sha256) != migration.sha256:
            raise SchemaMismatch(
                f"{migration.name} is not the file that was applied to this database; "
                "migrations are never edited, append a new one"
            )
    return [m for m in known if m.version not in applied]


def migrate(dsn: str) -> list[str]:
    """Applies what is pending; gives the names of the files it applied.

    Blocking; waits while another process migrates. Raises SchemaMismatch, StoreUnavailable.
    """
    done = []
    with translated(), connect_blocking(dsn) as connection:
        connection.execute("SET lock_timeout = 0")
        connection.execute(f"SELECT pg_advisory_lock({_LOCK})")
        connection.execute("SET client_min_messages = warning")
        connection.execute(_TABLE)
        for migration in pending(_applied(connection), migrations()):
            with connection.transaction():
                connection.execute(migration.text)
                connection.execute(
                    "INSERT INTO schema_migration (version, name, sha256) VALUES (%s, %s, %s)",
                    (migration.version, migration.name, migration.sha256),
                )
            done.append(migration.name)
    return done


def _applied(connection: Connection[DictRow]) -> dict[int, str]:
    rows = connection.execute("SELECT version, sha256 FROM schema_migration").fetchall()
    return {row["version"]: row["sha256"] for row in rows}
