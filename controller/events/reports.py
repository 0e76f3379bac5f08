"""Stores event reports, each event once, and moves the messages on: many reports in a transaction.

A node may report a message only while it is the last node the message was dispatched to. Events
about other messages are kept as they are, and change nothing. What a receiver said is kept with its
meaning, and what follows from it (`words`) happens in the same transaction.

The messages are locked first and in one order, so two controllers never wait for one another; then
the breakers, if any (`controller.throttle.alone`); then the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from postfleet.v1 import node_pb2

from controller.events import report as rows
from controller.events.fold import Told
from controller.events.health import tally_events
from controller.events.progress import Place, Progress
from controller.events.report import Key, Report
from controller.events.words import Recorded, act_on, words_of
from controller.health.tally import Tally
from controller.message_life import State
from controller.planner.ledger import refund
from controller.store import Transaction, queries
from controller.throttle.heard import About, Heard, Listener

_SQL = queries.load("events")
_ABOUT = ("client_id", "mailbox", "recipient", "egress_id", "provider", "warm_up")
_NOTE_SENT = queries.load("warm_up")["note_sent"]
_PLAN_ANEW = queries.load("throttle")["plan_anew"]


@dataclass(frozen=True, slots=True)
class _Known:
    """The messages of the batch that their nodes may report on; locked."""

    told: dict[Place, Told]
    about: dict[Place, About]


async def record(tx: Transaction, reports: Sequence[Report], listener: Listener) -> list[Recorded]:
    """Stores the reports, in their order; repeating changes nothing."""
    now, now_s = await tx.now(), time.monotonic()
    for report in reports:
        report.tell_by_our_clock(now, now_s)
    known = await _lock_messages(tx, reports)
    heard = [_hear(report, known.about, listener) for report in reports]
    kept = await _keep(tx, reports, heard, listener)
    progress = Progress(known.told)
    recorded: list[Recorded] = []
    tally = Tally()
    for report, new, hearing in zip(reports, kept, heard, strict=True):
        fresh = tuple(
            _with_attempts(hearing[event.seq], report, progress)
            for event in new
            if event.seq in hearing
        )
        tally_events(tally, report, new, fresh, known.about, listener)
        progress.move_on(report.node_id, new)
        recorded.append(Recorded(new, fresh))
    words = await words_of(tx, reports, recorded, known.about, listener)
    await _change(tx, progress)
    await act_on(tx, words)
    await tally.write(tx)
    return recorded


async def _lock_messages(tx: Transaction, reports: Sequence[Report]) -> _Known:
    named = {(report.node_id, rows.text(e.message_id)) for report in reports for e in report.events}
    found = await tx.fetch_all(
        _SQL["messages"],
        node_ids=[node_id for node_id, _ in named],
        ids=[message_id for _, message_id in named],
    )
    known = _Known({}, {})
    for row in found:
        place = row.pop("node_id"), row["id"]
        about = {field: row.pop(field) for field in _ABOUT}
        known.told[place] = Told(**{**row, "state": State(row["state"])})
        if about["mailbox"] and about["egress_id"]:
            known.about[place] = About(**about, attempts=row["attempts"])
    return known


def _hear(report: Report, about: Mapping[Place, About], listener: Listener) -> dict[int, Heard]:
    """What receivers said in a report, by number."""
    refusals = [said for event in report.events if (said := rows.refusal(event)) is not None]
    mine = {
        said.message_id: about[place]
        for said in refusals
        if (place := (report.node_id, said.message_id)) in about
    }
    return {each.refusal.seq: each for each in listener.hear(refusals, mine)}


async def _keep(
    tx: Transaction,
    reports: Sequence[Report],
    heard: Sequence[Mapping[int, Heard]],
    listener: Listener,
) -> list[tuple[node_pb2.MessageEvent, ...]]:
    """Gives each report's new events. What stands in two reports is new in the first."""
    first: dict[Key, int] = {}
    to_keep: list[rows.Row] = []
    for number, (report, hearing) in enumerate(zip(reports, heard, strict=True)):
        for event in report.events:
            if first.setdefault(report.key(event), number) == number:
                to_keep.append(rows.Row(report, event, hearing.get(event.seq)))
    columns = rows.columns(to_keep, listener.table)
    stored = await tx.fetch_all(_SQL["keep"], **columns)
    new = {(row["spool_id"], row["seq"]) for row in stored}
    return [
        tuple(
            event
            for event in report.events
            if first[key := report.key(event)] == number and key in new
        )
        for number, report in enumerate(reports)
    ]


def _with_attempts(each: Heard, report: Report, progress: Progress) -> Heard:
    """With the attempts before this report, some of which others in the batch told."""
    if each.about is None:
        return each
    attempts = progress.attempts(report.node_id, each.refusal.message_id)
    return replace(each, about=replace(each.about, attempts=attempts))


async def _change(tx: Transaction, progress: Progress) -> None:
    if progress.refunded:
        await refund(tx, progress.refunded)
    changed = progress.changed
    if changed:
        await tx.execute(
            _SQL["change"],
            ids=[told.id for told in changed],
            states=[str(told.state) for told in changed],
            queue_ids=[rows.text(told.queue_id) for told in changed],
            attempts=[told.attempts for told in changed],
            reasons=[rows.text(told.reason) for told in changed],
            stored=[told.stored for told in changed],
            epochs=[told.epoch for told in changed],
            final=[told.final for told in changed],
            not_befores=[told.not_before for told in changed],
        )
    returned = [told.id for told in changed if told.state is State.SCHEDULED]
    if returned:
        await tx.execute(_PLAN_ANEW, ids=returned)
    if progress.sent:
        await tx.execute(_NOTE_SENT, ids=progress.sent)
