"""Reports stored together end as if each had been stored by itself, on a real database.

Each example is done twice in transactions that are rolled back: one by one, and cut into batches.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postfleet.v1 import node_pb2

from controller.events.report import Report
from controller.events.reports import record
from controller.providers.table import open_table
from controller.shaping.book import open_book
from controller.store import Store, Transaction
from controller.throttle.heard import Listener
from tests.controller.small_fleet import sql

TABLE = open_table()
LISTENER = Listener(open_book(None, TABLE.names), TABLE)
NODES = ("n1", "n2")
MESSAGES = [f"m{number}" for number in range(8)]
REPLIES = (
    "421-4.7.28 [198.51.100.1 15] Our system has detected an unusual rate of 421-4.7.28 "
    "unsolicited mail originating from your IP address. 421 4.7.28 review our Guidelines - gsmtp",
    "550-5.1.1 The email account that you tried to reach does not exist. 550 5.1.1 - gsmtp",
    "451 4.7.1 Greylisted, try again later",
    "550 5.7.1 Message rejected for policy reasons",
)
KINDS = ("QUEUED", "SENT", "BOUNCED", "EXPIRED", "UNCERTAIN", "REFUSED", "RETURNED",
         *["DEFERRED"] * 7, *["SENT"] * 4)  # fmt: skip
TOLD = {
    "message": "SELECT id, state, queue_id, attempts, reason, stored, epoch, not_before,"
    " final_at IS NULL AS open, charged_day FROM message ORDER BY id",
    "event": "SELECT * FROM event ORDER BY spool_id, seq",
    "ledger": "SELECT * FROM ledger ORDER BY scope, subject, day",
    "ledger_hour": "SELECT * FROM ledger_hour ORDER BY scope, subject, hour",
    "slow_down": "SELECT scope, provider, subject, per_hour, rule FROM slow_down ORDER BY 1, 2, 3",
    "suspension": "SELECT scope, subject, source, stage, reason, evidence FROM suspension"
    " ORDER BY 1, 2, 3",
    "breaker": "SELECT scope, provider, subject, position, refusals, opened FROM breaker"
    " ORDER BY 1, 2, 3",
    "suppression": "SELECT client_id, recipient, reason, evidence FROM suppression ORDER BY 1, 2",
    "warm_up_sent": "SELECT * FROM warm_up_sent ORDER BY 1, 2, 3",
    "audit": "SELECT actor, action, subject, reason FROM audit ORDER BY id",
}

EVENTS = st.tuples(
    st.sampled_from(KINDS), st.integers(0, 7), st.sampled_from(REPLIES),
    st.sampled_from([False, False, True]), st.sampled_from([0, 1, 2]),
)  # fmt: skip
Said = tuple[str, int, str, bool, int]
"""Kind, which message (mostly the node's own), reply, whether our own gateway's, term."""
REPORTS = st.lists(
    st.tuples(st.sampled_from(NODES), st.lists(EVENTS, min_size=1, max_size=4)), max_size=12
)


@pytest.fixture
def fleet(database: str, make_fleet: Any) -> str:
    """Two nodes, each with half of eight messages that were charged; some were tried."""
    addresses = make_fleet("acme", mailboxes=4, egresses=2)
    with psycopg.connect(database) as connection:
        for number, id in enumerate(MESSAGES):
            connection.execute(
                "INSERT INTO message (id, client_id, mailbox,"
                " egress_id, recipient, not_before, state, node_id, epoch, size, receiver,"
                " attempts, charged_day, charged_hour, charged_provider, stored)"
                " VALUES (%s, 'acme', %s, %s, %s, now() - interval '1 h', %s, %s, 1, 1,"
                " 'google', %s, '2026-11-25', '2026-11-25 12:00+00', 'google', %s)",
                (id, addresses[number % 4], f"acme-e{number % 2}", f"{id}@g.test",
                 ("dispatched", "queued", "uncertain", "queued")[number // 2],
                 NODES[number % 2], int(number % 3 == 0), number % 2 == 0),
            )  # fmt: skip
        for scope, subjects in (
            ("mailbox", addresses), ("egress", ["acme-e0", "acme-e1"]), ("client", ["acme"])
        ):  # fmt: skip
            for subject in subjects:
                connection.execute(
                    "INSERT INTO ledger VALUES (%s, %s, '2026-11-25', 10)", (scope, subject)
                )
        connection.execute(
            "INSERT INTO warm_up (scope, subject, day, judged) VALUES"
            " ('egress', 'acme-e0', 3, '2026-11-24')"
        )
    return database


def report_of(node_id: str, first_seq: int, events: Sequence[Said], now: datetime) -> Report:
    report = node_pb2.EventReport(spool_id=f"spool-{node_id}")
    for seq, (kind, which, reply, ours, epoch) in enumerate(events, first_seq):
        number = which if which > 5 else 2 * (which % 4) + NODES.index(node_id)
        event = report.events.add(
            seq=seq, message_id=MESSAGES[number],
            kind=node_pb2.EventKind.Value(f"EVENT_KIND_{kind}"), queue_id=f"4Q{seq}",
            relay="gmail-smtp-in.l.google.com[203.0.113.5]:25", epoch=epoch,
            reason=f"host gmail-smtp-in.l.google.com[203.0.113.5] said: {reply}",
            gateway_stage="lease" if ours else "", log_line=f"line {seq}",
        )  # fmt: skip
        event.at.FromDatetime(now - timedelta(minutes=5) + timedelta(seconds=seq))
    return Report.of(node_id, report, time.monotonic())


def some_reports(told: Sequence[tuple[str, Sequence[Said]]], again: Sequence[int]) -> list[Report]:
    """Each node's numbers rise; `again`: places at which an earlier report is repeated."""
    now, seqs, reports = datetime.now(UTC), dict.fromkeys(NODES, 1), []
    for number, (node_id, events) in enumerate(told):
        reports.append(report_of(node_id, seqs[node_id], events, now))
        seqs[node_id] += len(events)
        if number in again:
            reports.append(reports[number // 2])
    return reports


def batches(reports: Sequence[Report], cuts: Sequence[int]) -> list[Sequence[Report]]:
    edges = sorted({0, len(reports), *(cut for cut in cuts if cut < len(reports))})
    return [reports[a:b] for a, b in itertools.pairwise(edges)]


class _Enough(Exception):
    """Ends a transaction whose rows are not to stay."""


async def after(store: Store, parts: Sequence[Sequence[Report]]) -> dict[str, Any]:
    """What stands in the tables, and which events were new, when these were stored."""
    seen: dict[str, Any] = {}

    async def look_and_undo(tx: Transaction) -> None:
        new = []
        for part in parts:
            new += [[e.seq for e in each.new] for each in await record(tx, part, LISTENER)]
        seen["new"] = new
        for name, text in TOLD.items():
            seen[name] = await tx.fetch_all(sql(text))
        raise _Enough

    with pytest.raises(_Enough):
        await store.run(look_and_undo)
    return seen


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(REPORTS, st.lists(st.integers(0, 12), max_size=4), st.lists(st.integers(1, 14), max_size=4))
def test_it_does_not_matter_what_is_stored_together(
    fleet: str,
    told: list[tuple[str, list[Said]]],
    again: list[int],
    cuts: list[int],
) -> None:
    reports = some_reports(told, again)

    async def scene() -> None:
        async with Store.open(fleet, 1) as store:
            alone = await after(store, [[report] for report in reports])
            together = await after(store, batches(reports, cuts))
        for name, rows in alone.items():
            assert together[name] == rows, name

    asyncio.run(scene())
