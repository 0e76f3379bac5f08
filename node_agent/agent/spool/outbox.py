"""Events for the controller, kept until acknowledged. `seq` rises by one, without holes."""

from __future__ import annotations

import sqlite3

from postfleet.v1 import node_pb2

from node_agent.agent.spool import meta


def append(db: sqlite3.Connection, event: node_pb2.MessageEvent) -> int:
    """Store `event` under the next number, which is returned."""
    stored = db.execute("INSERT INTO outbox (event) VALUES (?)", (event.SerializeToString(),))
    assert stored.lastrowid is not None
    return stored.lastrowid


def after(
    db: sqlite3.Connection, seq: int, limit: int, max_octets: int
) -> list[node_pb2.MessageEvent]:
    """Events with a number above `seq`, in order; at least one where there is one."""
    events: list[node_pb2.MessageEvent] = []
    octets = 0
    rows = db.execute(
        "SELECT seq, event FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit)
    )
    for number, data in rows:
        octets += len(data)
        if events and octets > max_octets:
            break
        event = node_pb2.MessageEvent.FromString(data)
        event.seq = number
        events.append(event)
    return events


def acknowledge(db: sqlite3.Connection, up_to_seq: int) -> int:
    """Forget what the controller has stored. Numbers never given are ignored. Idempotent.

    Returns the highest number that is acknowledged now.
    """
    acked = int(meta.read(db, "acked_seq"))
    if not acked < up_to_seq <= _last(db):
        return acked
    db.execute("DELETE FROM outbox WHERE seq <= ?", (up_to_seq,))
    meta.write(db, "acked_seq", up_to_seq)
    return up_to_seq


def bounds(db: sqlite3.Connection) -> tuple[int, int]:
    """(highest acknowledged number, highest given number)."""
    return int(meta.read(db, "acked_seq")), _last(db)


def _last(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
    return int(row[0]) if row else 0
