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
    "boxes_with_own": {"limit": 500, "lanes": [0]},
    "own_heads": {"addresses": ["m001@d0.acme.test"], "each": 50, "lanes": [0]},
    "heads_for_any": {"each": 100, "lanes": [0, 1, 2]},
    "unexplained": {"limit": 250},
    "overdue": {"limit": 1000},
}


@pytest.fixture
def crowded(
    database: str, make_fleet: Callable[..., list[str]]
) -> Iterator[psycopg.Connection[Any]]:
    """Many messages wait, half of them for a mailbox of their own; none has been explained.

    The providers come in blocks of a few, so that none stands at the head of the queue alone.
    """
    make_fleet("acme", mailboxes=10)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO message (id, client_id, mailbox, recipient,"
            " provider, not_before, size) SELECT lpad(i::text, 26, '0'), 'acme',"
            " CASE WHEN i %% 2 = 0 THEN format('m%%s@d0.acme.test', lpad((i / 2 %% 10)::text, 3,"
            " '0')) END, 'r@x.test', CASE WHEN i %% 9 < 7 THEN 'google' WHEN i %% 9 = 7 THEN"
            " 'yahoo' ELSE 'microsoft' END, %s::timestamptz - interval '1 hour', 1"
            " FROM generate_series(1, %s) AS i",
            (NOW, WAITING),
        )
        connection.execute("VACUUM ANALYZE")
        yield connection


@pytest.mark.parametrize("name", READS)
def test_no_query_reads_all_that_waits(crowded: psycopg.Connection[Any], name: str) -> None:
    parameters = {"client_id": "acme", "until": NOW, "now": NOW, "hour": NOW, "internal_days": 14}
    parameters |= READS[name]
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
