"""Stores event reports, each event once, and moves the messages on, in one transaction a report.

A node may report a message only while it is the last node the message was dispatched to. Events
about other messages are kept as they are, and change nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from postfleet.v1 import node_pb2

from controller.events.fold import KINDS, Outcome, Told, fold
from controller.message_life import State
from controller.planner.ledger import refund
from controller.store import Store, Transaction, queries

_SQL = queries.load("events")
# Postfix's log lines are shorter; what a receiver says is at most 512 octets a line.
_MAX_TEXT = 4000


async def record_events(
    store: Store, node_id: str, report: node_pb2.EventReport
) -> list[node_pb2.MessageEvent]:
    """Commits the report; gives the events that were new, in order. Repeating changes nothing."""
    if not report.events:
        return []
    return await store.run(lambda tx: _record(tx, node_id, report))


async def _record(
    tx: Transaction, node_id: str, report: node_pb2.EventReport
) -> list[node_pb2.MessageEvent]:
    kept = await tx.fetch_all(_SQL["keep"], **_columns(node_id, report))
    new_seqs = {row["seq"] for row in kept}
    new = sorted((e for e in report.events if e.seq in new_seqs), key=lambda event: event.seq)
    by_message: dict[str, list[node_pb2.MessageEvent]] = defaultdict(list)
    for event in new:
        by_message[event.message_id].append(event)
    rows = await tx.fetch_all(_SQL["messages"], node_id=node_id, ids=sorted(by_message))
    outcomes = [fold(_told(row), by_message[row["id"]]) for row in rows]
    changed = [outcome for outcome in outcomes if outcome.changed]
    refunded = [outcome.message.id for outcome in outcomes if outcome.refund]
    if refunded:
        await refund(tx, refunded)
    if changed:
        await tx.execute(_SQL["change"], **_changes(changed))
    return new


def _told(row: dict[str, object]) -> Told:
    return Told(**{**row, "state": State(str(row["state"]))})  # type: ignore[arg-type]


def _columns(node_id: str, report: node_pb2.EventReport) -> dict[str, object]:
    # A repeated number within one report would hit the same row twice; the last one would win.
    events = list({event.seq: event for event in report.events}.values())
    return {
        "spool_id": report.spool_id,
        "node_id": node_id,
        "seqs": [event.seq for event in events],
        "message_ids": [_text(event.message_id) for event in events],
        "kinds": [str(KINDS.get(event.kind, "unknown")) for event in events],
        "ats": [_time(event) for event in events],
        "queue_ids": [_text(event.queue_id) for event in events],
        "egress_ids": [_text(event.egress_id) for event in events],
        "dsns": [_text(event.dsn) for event in events],
        "relays": [_text(event.relay) for event in events],
        "reasons": [_text(event.reason) for event in events],
        "gateway_stages": [_text(event.gateway_stage) for event in events],
        "log_lines": [_text(event.log_line) for event in events],
    }


def _changes(outcomes: Sequence[Outcome]) -> dict[str, object]:
    messages = [outcome.message for outcome in outcomes]
    return {
        "ids": [message.id for message in messages],
        "states": [str(message.state) for message in messages],
        "queue_ids": [_text(message.queue_id) for message in messages],
        "attempts": [message.attempts for message in messages],
        "reasons": [_text(message.reason) for message in messages],
        "stored": [message.stored for message in messages],
        "final": [message.final for message in messages],
    }


def _text(value: str) -> str:
    # PostgreSQL's text holds no NUL; a receiver may send one.
    return value.replace("\x00", "\ufffd")[:_MAX_TEXT]


def _time(event: node_pb2.MessageEvent) -> datetime:
    return event.at.ToDatetime(tzinfo=UTC)
