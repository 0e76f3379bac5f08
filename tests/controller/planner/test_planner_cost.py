"""The planner's work grows with what it assigns, not with what waits: its queries use indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from controller.store import queries

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WAITING = 20_000
READS = {
    "clients_waiting": {},
    "due_of_mailboxes": {"addresses": ["m001@d0.acme.test"], "rooms": [50], "limit": 500},
    "due_without_mailbox": {"limit": 500},
    "unexplained": {"limit": 250},
    "heads": {"addresses": ["m001@d0.acme.test"], "limit": 5},
    "head_without_mailbox": {"limit": 5},
    "overdue": {"limit": 1000},
}


@pytest.fixture
def crowded(
    database: str, make_fleet: Callable[..., list[str]]
) -> Iterator[psycopg.Connection[Any]]:
    """Many messages wait, half of them for a mailbox of their own; none has been explained."""
    make_fleet("acme", mailboxes=10)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO message (id, client_id, idempotency_key, fingerprint, mailbox, recipient,"
            " not_before, size) SELECT lpad(i::text, 26, '0'), 'acme', i::text, '',"
            " CASE WHEN i %% 2 = 0 THEN format('m%%s@d0.acme.test', lpad((i / 2 %% 10)::text, 3,"
            " '0')) END, 'r@x.test', %s::timestamptz - interval '1 hour', 1"
            " FROM generate_series(1, %s) AS i",
            (NOW, WAITING),
        )
        connection.execute("VACUUM ANALYZE")
        yield connection


@pytest.mark.parametrize("name", READS)
def test_no_query_reads_all_that_waits(crowded: psycopg.Connection[Any], name: str) -> None:
    parameters = {"client_id": "acme", "due": NOW, "day": NOW.date(), **READS[name]}
    query = queries.load("planner")[name]
    ((plan,),) = crowded.execute(
        f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query.sql}", parameters
    ).fetchall()
    touched = list(_rows_of_message(plan[0]["Plan"]))
    assert touched
    assert sum(touched) <= 2000, plan


def _rows_of_message(node: dict[str, Any]) -> Iterator[float]:
    """How many rows each scan of table message read, also those it filtered away."""
    if node.get("Relation Name") == "message":
        read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        yield read * node["Actual Loops"]
    for child in node.get("Plans", ()):
        yield from _rows_of_message(child)
