"""What tests of the planner on a real PostgreSQL share: waiting mail, and what the ledger says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from controller.intake.check import Submission
from controller.intake.ingest import Taken, ingest
from controller.planner.cycle import Planner
from controller.store import Store

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BODY = b"Subject: hello\r\n\r\nbody\r\n"


async def submit(
    store: Store, client: str, count: int, mailbox: str = "", not_before: datetime | None = None
) -> list[str]:
    submit.serial += 1  # type: ignore[attr-defined]
    serial = submit.serial  # type: ignore[attr-defined]
    results = await ingest(
        store,
        [
            Submission(f"k{serial}-{n}", client, mailbox, f"r{n}@x.test", not_before, BODY)
            for n in range(count)
        ],
        lambda: NOON - timedelta(hours=1),
    )
    assert all(isinstance(r, Taken) for r in results), results
    return [r.message_id for r in results if isinstance(r, Taken)]


submit.serial = 0  # type: ignore[attr-defined]


def planner(store: Store, now: datetime = NOON, batch: int = 500) -> Planner:
    return Planner(store, batch, lambda: now)


def rows(database: str, sql: str, *parameters: object) -> list[Any]:
    with psycopg.connect(database) as connection:
        return connection.execute(sql, parameters).fetchall()


def states(database: str) -> Mapping[str, int]:
    return dict(rows(database, "SELECT state, count(*) FROM message GROUP BY state"))


def used(database: str, scope: str) -> Mapping[str, int]:
    return dict(rows(database, "SELECT subject, used FROM ledger WHERE scope = %s", scope))


LEDGER_OF_MESSAGES = """
WITH charged AS (
    SELECT mailbox, egress_id, split_part(mailbox, '@', 2) AS domain, client_id,
           charged_provider AS provider, charged_day AS day, charged_hour AS hour,
           coalesce((SELECT campaign_id FROM campaign_lane AS l WHERE l.id = lane), '') AS campaign
    FROM message WHERE charged_day IS NOT NULL)
SELECT scope, subject, bucket, count(*) FROM (
    SELECT 'mailbox', mailbox, day::text FROM charged
    UNION ALL SELECT 'egress', egress_id, day::text FROM charged
    UNION ALL SELECT 'domain', domain, day::text FROM charged
    UNION ALL SELECT 'client', client_id, day::text FROM charged
    UNION ALL SELECT 'domain-provider', domain || '/' || provider, day::text FROM charged
    UNION ALL SELECT 'mailbox', mailbox, hour::text FROM charged
    UNION ALL SELECT 'egress', egress_id, hour::text FROM charged
    UNION ALL SELECT 'domain-provider', domain || '/' || provider, hour::text FROM charged
    UNION ALL SELECT 'campaign', client_id || '/' || campaign, hour::text FROM charged
    UNION ALL SELECT 'provider-egress', provider || '/' || egress_id, hour::text FROM charged
) AS each (scope, subject, bucket) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
LEDGER = """
SELECT scope, subject, day::text AS bucket, used FROM ledger WHERE used > 0
UNION ALL SELECT scope, subject, hour::text, used FROM ledger_hour WHERE used > 0
ORDER BY 1, 2, 3"""


def assert_ledger_is_the_messages(database: str) -> None:
    """The ledger says exactly what messages were charged."""
    assert rows(database, LEDGER) == rows(database, LEDGER_OF_MESSAGES)
