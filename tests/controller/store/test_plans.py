"""No statement becomes quadratic because PostgreSQL's statistics are of a quieter minute.

They are some minutes old at best. Taken while no message was `scheduled`, say, they make an index
over all that is look like the shortest way to one message by its id; then ten thousand come, and
each is looked for among all of them (a claim for dispatch took a minute so, and kept leases from
being renewed).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from controller.store import queries

Plan = dict[str, Any]

# What may read many messages once for each of few rows.
FEW = {
    "campaigns.finish": "lanes of campaigns in which no recipient is open",
    "campaigns.all_ended": "lanes of campaigns that are being cancelled",
    "forecast.campaign": "lanes of one campaign, when somebody asks",
    "inventory.remove_client": "clients that leave the inventory",
    "throttle.choose_trials": "open breakers whose time has come",
    "throttle.choose_turns": "slowed pairs whose turn it is",
    "why.campaign_rivals": "campaigns of one client, when somebody asks",
}

FILL = """
    INSERT INTO message (id, client_id, mailbox, egress_id, recipient,
                         not_before, state, size, provider, receiver)
    SELECT n::text, 'acme', b.address, b.egress_id, n || '@reader.test', now(), 'sent',
           4096, 'google', 'google'
    FROM generate_series(1, 20000) AS n,
         (SELECT address, egress_id FROM mailbox ORDER BY address LIMIT 1) AS b
"""
CONTENT = """
    INSERT INTO message_content (message_id, content)
    SELECT id, repeat('x', 400)::bytea FROM message
"""


@pytest.fixture
def quiet(database: str, make_fleet: Callable[..., list[str]]) -> Iterator[psycopg.Connection]:
    """A database of many sent messages and no other, whose statistics say so."""
    make_fleet("acme", mailboxes=200, egresses=20)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(FILL)
        connection.execute(CONTENT)
        connection.execute("ANALYZE")
        connection.execute("SET plan_cache_mode = force_generic_plan")
        yield connection


def test_no_message_is_looked_for_among_all_others(quiet: psycopg.Connection) -> None:
    leading = leading_columns(quiet)
    found = {}
    for area in queries.areas():
        for query in queries.load(area).values():
            if query.sql.lstrip().startswith("LOCK"):
                continue
            scans = [s for s in inner_scans(plan_of(quiet, query)) if not narrow(s, leading)]
            if scans and str(query) not in FEW:
                found[str(query)] = [
                    (s.get("Index Name", "all"), s.get("Index Cond")) for s in scans
                ]
    assert not found, "\n".join(f"{q}: {s}" for q, s in found.items())


def plan_of(connection: psycopg.Connection, query: queries.Query) -> Plan:
    """The plan for parameters that are not known yet."""
    numbers = {name: f"${place}" for place, name in enumerate(query.parameters, 1)}
    text = re.sub(r"%\((\w+)\)[sb]", lambda found: numbers[found[1]], query.sql).replace("%%", "%")
    connection.execute(f"PREPARE q AS {text}")
    given = f"({', '.join('NULL' for _ in numbers)})" if numbers else ""
    row = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE q{given}").fetchone()
    connection.execute("DEALLOCATE q")
    assert row is not None
    plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
    return dict(plan[0]["Plan"])


def inner_scans(plan: Plan, repeated: bool = False) -> Iterator[Plan]:
    """The scans of messages that are done once for each row of something else."""
    if repeated and plan.get("Relation Name") == "message":
        yield plan
    for child in plan.get("Plans", ()):
        inner = plan["Node Type"] == "Nested Loop" and child["Parent Relationship"] == "Inner"
        yield from inner_scans(child, repeated or inner)


def narrow(scan: Plan, leading: dict[str, str]) -> bool:
    """Whether an index scan goes to the rows with one value of the index's first column."""
    column = leading.get(scan.get("Index Name", ""))
    return column is not None and f"{column} = " in scan.get("Index Cond", "")


def leading_columns(connection: psycopg.Connection) -> dict[str, str]:
    """The first column of each index."""
    rows = connection.execute(
        "SELECT c.relname, pg_get_indexdef(c.oid, 1, true) FROM pg_class AS c WHERE c.relkind = 'i'"
    )
    return dict(rows.fetchall())
