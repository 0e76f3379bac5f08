"""Events for the controller, kept until acknowledged. `seq` rises by one, without holes."""

from __future__ import annotations

import sqlite3

from postfleet.v1 import node_pb2

from node_agent.agent.spool import meta


def append(db: sqlite3.Connection, event: node_pb2.MessageEvent) -> int:
    """Store `event` under the next number, which it gets and which is returned."""
    seq = int(meta.read(db, "next_seq"))
    event.seq = seq
    db.execute("INSERT INTO outbox (seq, event) VALUES (?, ?)", (seq, event.SerializeToString()))
    meta.write(db, "next_seq", seq + 1)
    return seq


def after(
    db: sqlite3.Connection, seq: int, limit: int, max_octets: int
) -> list[node_pb2.MessageEvent]:
    """Events with a number above `seq`, in order; at least one where there is one."""
    events: list[node_pb2.MessageEvent] = []
    octets = 0
    rows = db.execute("SELECT event FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit))
    for (data,) in rows:
        octets += len(data)
        if events and octets > max_octets:
            break
        events.append(node_pb2.MessageEvent.FromString(data))
    return events


def acknowledge(db: sqlite3.Connection, up_to_seq: int) -> int:
    """Forget what the controller has stored. Numbers never given are ignored. Idempotent.

    Returns the highest number that is acknowledged now.
    """
    acked = int(meta.read(db, "acked_seq"))
    if not acked < up_to_seq < int(meta.read(db, "next_seq")):
        return acked
    db.execute("DELETE FROM outbox WHERE seq <= ?", (up_to_seq,))
    meta.write(db, "acked_seq", up_to_seq)
    return up_to_seq


def bounds(db: sqlite3.Connection) -> tuple[int, int]:
    """(highest acknowledged number, highest given number)."""
    return int(meta.read(db, "acked_seq")), int(meta.read(db, "next_seq")) - 1
