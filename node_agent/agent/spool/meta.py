"""Single values in the spool: numbers and names as JSON, the spec as octets."""

from __future__ import annotations

import json
import sqlite3
from typing import Any


def read(db: sqlite3.Connection, name: str, default: Any = None) -> Any:
    """The JSON value under `name`."""
    value = read_octets(db, name)
    return default if value is None else json.loads(value)


def write(db: sqlite3.Connection, name: str, value: Any) -> None:
    """Replace the JSON value under `name`."""
    write_octets(db, name, json.dumps(value).encode())


def read_octets(db: sqlite3.Connection, name: str) -> bytes | None:
    """The octets under `name`."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0])


def write_octets(db: sqlite3.Connection, name: str, value: bytes) -> None:
    """Replace the octets under `name`."""
    db.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
