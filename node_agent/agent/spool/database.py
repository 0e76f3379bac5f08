"""Opens the spool's database: file modes, pragmas, schema, identity."""

from __future__ import annotations

import os
import secrets
import sqlite3
from pathlib import Path

from node_agent.agent.errors import SpoolError
from node_agent.agent.spool import meta

SCHEMA_VERSION = 1
# Columns of table message that the first spools of this format lack. An agent that does not know
# them reads and writes a spool that has them, so a version can be taken back.
_ADDED = ("queued_ms", "attempted_ms")
_SCHEMA = Path(__file__).with_name("schema.sql")


def connect(path: Path) -> sqlite3.Connection:
    """Open or make the spool at `path` (0600: it holds mail and keys). Raises SpoolError."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        db = sqlite3.connect(path, isolation_level=None, timeout=10)
        _set_up(db)
    except (OSError, sqlite3.Error) as error:
        raise SpoolError(
            f"cannot open the spool {path}: {error}; nothing was changed. A damaged spool must be "
            "looked at by a person: move it away only when its messages are accounted for"
        ) from error
    return db


def _set_up(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA cache_size = -4000")
    db.execute("PRAGMA journal_size_limit = 16777216")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == SCHEMA_VERSION:
        _add_columns(db)
        return
    if version != 0:
        raise SpoolError(f"the spool has format {version}, this agent knows {SCHEMA_VERSION} only")
    db.executescript(
        f"BEGIN IMMEDIATE;\n{_SCHEMA.read_text(encoding='utf-8')}\n"
        f"PRAGMA user_version = {SCHEMA_VERSION};"
    )
    meta.write(db, "spool_id", secrets.token_hex(16))
    meta.write(db, "acked_seq", 0)
    db.execute("COMMIT")


def _add_columns(db: sqlite3.Connection) -> None:
    have = {row[1] for row in db.execute("PRAGMA table_info(message)")}
    for name in _ADDED:
        if name not in have:
            db.execute(f"ALTER TABLE message ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0")
