"""A report as it is stored: whose it is, and its events as rows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from postfleet.v1 import node_pb2

from controller.events.fold import KINDS
from controller.events.node_clock import to_our_clock
from controller.message_life import Event
from controller.providers.table import ProviderTable
from controller.throttle.heard import Heard, Refusal

# Postfix's log lines are shorter; what a receiver says is at most 512 octets a line.
_MAX_TEXT = 4000

Key = tuple[str, int]
"""(spool, number): what makes an event one."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a node said of its messages at once. `events`: by number, each number once.

    `came_s`: the reading of the monotonic clock when it was read; it may wait before it is stored.
    """

    node_id: str
    spool_id: str
    events: tuple[node_pb2.MessageEvent, ...]
    said: node_pb2.EventReport
    came_s: float

    @classmethod
    def of(cls, node_id: str, said: node_pb2.EventReport, came_s: float) -> Report:
        """Of a number that stands there twice, the last counts."""
        events = {event.seq: event for event in said.events}
        ordered = tuple(events[seq] for seq in sorted(events))
        return cls(node_id, said.spool_id, ordered, said, came_s)

    def tell_by_our_clock(self, now: datetime, now_s: float) -> None:
        """Sets its times right, once; `now`: the database's clock at `now_s`, monotonic."""
        to_our_clock(self.said, now - timedelta(seconds=max(0.0, now_s - self.came_s)))

    def key(self, event: node_pb2.MessageEvent) -> Key:
        """By which the event is stored."""
        return self.spool_id, event.seq


@dataclass(frozen=True, slots=True)
class Row:
    """An event to be stored, with what was heard in it."""

    report: Report
    event: node_pb2.MessageEvent
    heard: Heard | None


def refusal(event: node_pb2.MessageEvent) -> Refusal | None:
    """What a receiver may have said in an event; None: nobody was asked, or nobody refused."""
    kind = KINDS.get(event.kind)
    if kind not in (Event.DEFERRED, Event.BOUNCED) or event.gateway_stage:
        return None
    return Refusal(
        seq=event.seq,
        message_id=text(event.message_id),
        egress_id=text(event.egress_id),
        relay=text(event.relay),
        reason=text(event.reason),
        dsn=text(event.dsn),
        log_line=text(event.log_line),
        at=time_of(event),
        final=kind is Event.BOUNCED,
    )


def columns(rows: Iterable[Row], table: ProviderTable) -> dict[str, Sequence[object]]:
    """The rows as arrays, ordered so that two who store the same events never wait crosswise."""
    ordered = sorted(rows, key=lambda row: row.report.key(row.event))
    events = [row.event for row in ordered]
    heard = [row.heard for row in ordered]
    return {
        "spool_ids": [text(row.report.spool_id) for row in ordered],
        "node_ids": [row.report.node_id for row in ordered],
        "seqs": [event.seq for event in events],
        "message_ids": [text(event.message_id) for event in events],
        "kinds": [str(KINDS.get(event.kind, "unknown")) for event in events],
        "ats": [time_of(event) for event in events],
        "queue_ids": [text(event.queue_id) for event in events],
        "egress_ids": [text(event.egress_id) for event in events],
        "dsns": [text(event.dsn) for event in events],
        "relays": [text(event.relay) for event in events],
        "reasons": [text(event.reason) for event in events],
        "gateway_stages": [text(event.gateway_stage) for event in events],
        "log_lines": [text(event.log_line) for event in events],
        "providers": [table.label(one.provider) if one else "" for one in heard],
        "scopes": [str(one.meaning.scope) if one and one.by_receiver else "" for one in heard],
        "permanents": [one.meaning.permanent if one else False for one in heard],
        "rules": [one.rule.name if one and one.rule else "" for one in heard],
    }


def text(value: str) -> str:
    """As PostgreSQL's text takes it: it holds no NUL, and a receiver may send one."""
    return value.replace("\x00", "\ufffd")[:_MAX_TEXT]


def time_of(event: node_pb2.MessageEvent) -> datetime:
    """When it happened, aware."""
    return event.at.ToDatetime(tzinfo=UTC)
