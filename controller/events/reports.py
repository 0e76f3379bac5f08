"""Stores event reports, each event once, and moves the messages on, in one transaction a report.

A node may report a message only while it is the last node the message was dispatched to. Events
about other messages are kept as they are, and change nothing. What a receiver said is kept with its
meaning, and what follows from it happens in the same transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from postfleet.v1 import node_pb2

from controller.events.fold import KINDS, Outcome, Told, fold
from controller.events.node_clock import to_our_clock
from controller.message_life import Event, State
from controller.planner.ledger import refund
from controller.store import Store, Transaction, queries
from controller.throttle import metrics as throttle_metrics
from controller.throttle import run
from controller.throttle.follow import follow
from controller.throttle.heard import About, Heard, Listener, Refusal

_SQL = queries.load("events")
_CONTEXTS = queries.load("throttle")["contexts"]
_NOTE_SENT = queries.load("warm_up")["note_sent"]
_ANY_BREAKER = queries.load("throttle")["any_breaker"]
# Postfix's log lines are shorter; what a receiver says is at most 512 octets a line.
_MAX_TEXT = 4000


async def record_events(
    store: Store, node_id: str, report: node_pb2.EventReport, listener: Listener
) -> list[node_pb2.MessageEvent]:
    """Commits the report; gives the events that were new, in order. Repeating changes nothing."""
    if not report.events:
        return []
    new, heard = await store.run(lambda tx: _record(tx, node_id, report, listener))
    throttle_metrics.count(heard, listener.table)
    return new


async def _record(
    tx: Transaction, node_id: str, report: node_pb2.EventReport, listener: Listener
) -> tuple[list[node_pb2.MessageEvent], list[Heard]]:
    to_our_clock(report, await tx.now())
    # A repeated number within one report would hit the same row twice; the last one would win.
    events = list({event.seq: event for event in report.events}.values())
    heard = await _hear(tx, node_id, events, listener)
    columns = _columns(events) | _meanings(events, heard, listener)
    kept = await tx.fetch_all(_SQL["keep"], spool_id=report.spool_id, node_id=node_id, **columns)
    new_seqs = {row["seq"] for row in kept}
    new = sorted((e for e in events if e.seq in new_seqs), key=lambda event: event.seq)
    await _move_on(tx, node_id, new)
    fresh = [heard[event.seq] for event in new if event.seq in heard]
    await follow(tx, fresh)
    await run.count(tx, run.against(fresh) + await _taken(tx, node_id, new, listener))
    return new, fresh


async def _move_on(tx: Transaction, node_id: str, new: Sequence[node_pb2.MessageEvent]) -> None:
    """Makes of the messages what the events say."""
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
    sent = [o.message.id for o in changed if o.message.state is State.SENT]
    if sent:
        await tx.execute(_NOTE_SENT, ids=sent)


async def _hear(
    tx: Transaction, node_id: str, events: Sequence[node_pb2.MessageEvent], listener: Listener
) -> dict[int, Heard]:
    """What receivers said in these events, by number."""
    refusals = [refusal for event in events if (refusal := _refusal(event)) is not None]
    if not refusals:
        return {}
    ids = sorted({refusal.message_id for refusal in refusals})
    rows = await tx.fetch_all(_CONTEXTS, node_id=node_id, ids=ids)
    about = {row.pop("id"): About(**row) for row in rows if row["mailbox"] and row["egress_id"]}
    return {each.refusal.seq: each for each in listener.hear(refusals, about)}


async def _taken(
    tx: Transaction, node_id: str, new: Sequence[node_pb2.MessageEvent], listener: Listener
) -> list[run.Word]:
    """The messages that receivers took, where there is any breaker that it concerns."""
    sent = {_text(e.message_id): e for e in new if KINDS.get(e.kind) is Event.SENT}
    if not sent or not await tx.fetch_value(_ANY_BREAKER):
        return []
    words = []
    for row in await tx.fetch_all(_CONTEXTS, node_id=node_id, ids=sorted(sent)):
        event = sent[row.pop("id")]
        if row["mailbox"] and row["egress_id"]:
            about = About(**row)
            provider = listener.provider(about, _text(event.relay))
            words.append(run.Word(event.seq, _time(event), provider, about))
    return words


def _refusal(event: node_pb2.MessageEvent) -> Refusal | None:
    kind = KINDS.get(event.kind)
    if kind not in (Event.DEFERRED, Event.BOUNCED) or event.gateway_stage:
        return None
    return Refusal(
        seq=event.seq,
        message_id=_text(event.message_id),
        egress_id=_text(event.egress_id),
        relay=_text(event.relay),
        reason=_text(event.reason),
        dsn=_text(event.dsn),
        log_line=_text(event.log_line),
        at=_time(event),
        final=kind is Event.BOUNCED,
    )


def _told(row: dict[str, object]) -> Told:
    return Told(**{**row, "state": State(str(row["state"]))})  # type: ignore[arg-type]


def _columns(events: Sequence[node_pb2.MessageEvent]) -> dict[str, object]:
    return {
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


def _meanings(
    events: Sequence[node_pb2.MessageEvent], heard: dict[int, Heard], listener: Listener
) -> dict[str, object]:
    each = [heard.get(event.seq) for event in events]
    return {
        "providers": [listener.table.label(one.provider) if one else "" for one in each],
        "scopes": [str(one.meaning.scope) if one and one.by_receiver else "" for one in each],
        "permanents": [one.meaning.permanent if one else False for one in each],
        "rules": [one.rule.name if one and one.rule else "" for one in each],
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
        "not_befores": [message.not_before for message in messages],
    }


def _text(value: str) -> str:
    # PostgreSQL's text holds no NUL; a receiver may send one.
    return value.replace("\x00", "\ufffd")[:_MAX_TEXT]


def _time(event: node_pb2.MessageEvent) -> datetime:
    return event.at.ToDatetime(tzinfo=UTC)
