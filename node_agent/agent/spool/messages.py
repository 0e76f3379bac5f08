"""Rows of messages: storing, marking, and writing down what a fact does to one.

All functions run inside the spool thread's transaction. The rules are lifecycle.py's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp
from postfleet.v1 import node_pb2

from node_agent.agent.lifecycle import CONTENT_NEEDED, FINAL, Fact, FactKind, State, Step, step
from node_agent.agent.spool import meta, outbox

_COLUMNS = "id, mailbox, recipient, egress_id, epoch, not_before_ms, size, state, queue_id"
# Facts after which Postfix is not delivering the message.
_NOT_IN_FLIGHT = frozenset(
    {
        FactKind.DEFERRED,
        FactKind.SENT,
        FactKind.BOUNCED,
        FactKind.EXPIRED,
        FactKind.UNCERTAIN,
        FactKind.DELETED,
    }
)
_RECALLED = "taken out of Postfix's queue before it was sent"


@dataclass(frozen=True, slots=True)
class SpooledMessage:
    """A row without its content."""

    id: str
    mailbox: str
    recipient: str
    egress_id: str
    epoch: int
    not_before_ms: int
    size: int
    state: State
    queue_id: str = ""


@dataclass(frozen=True, slots=True)
class InPostfix:
    """What is known of a queued message that Postfix has; the fields are the row's."""

    id: str
    queue_id: str
    egress_id: str
    epoch: int
    held: bool
    in_flight: bool
    queued_ms: int
    attempted_ms: int


def store(
    db: sqlite3.Connection, messages: Iterable[tuple[SpooledMessage, bytes]], now_ms: int
) -> list[SpooledMessage]:
    """Store what is not here yet (see `is_known`); return what is waiting newly."""
    new: list[SpooledMessage] = []
    for message, content in messages:
        if is_known(db, message.id, message.epoch):
            continue
        db.execute(
            f"INSERT OR REPLACE INTO message ({_COLUMNS}, changed_ms) "  # noqa: S608 - constant
            "VALUES (?, ?, ?, ?, ?, ?, ?, 'stored', '', ?)",
            (
                message.id,
                message.mailbox,
                message.recipient,
                message.egress_id,
                message.epoch,
                message.not_before_ms,
                len(content),
                now_ms,
            ),
        )
        db.execute(
            "INSERT OR REPLACE INTO content (message_id, content) VALUES (?, ?)",
            (message.id, content),
        )
        new.append(message)
    return new


def is_known(db: sqlite3.Connection, message_id: str, epoch: int) -> bool:
    """Whether a message that is dispatched for this term is here already, and stays as it is.

    Not what was returned; nor what waits for an earlier term: that is over, and who dispatches the
    message again knows that it was not handed over in it. Its time may be another one by now.
    """
    row = db.execute("SELECT state, epoch FROM message WHERE id = ?", (message_id,)).fetchone()
    if row is None or row[0] == State.RETURNED:
        return False
    return row[0] != State.STORED or int(row[1]) >= epoch


def in_states(db: sqlite3.Connection, states: Sequence[State]) -> list[SpooledMessage]:
    """All messages in one of `states`, oldest id first."""
    marks = ", ".join("?" * len(states))
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM message WHERE state IN ({marks}) ORDER BY id",  # noqa: S608
        tuple(states),
    )
    return [_message(row) for row in rows]


def states(db: sqlite3.Connection, ids: Iterable[str]) -> dict[str, State]:
    """Message id to state, of those that are here."""
    found: dict[str, State] = {}
    for message_id in ids:
        row = db.execute("SELECT state FROM message WHERE id = ?", (message_id,)).fetchone()
        if row is not None:
            found[message_id] = State(row[0])
    return found


def mark_handing(
    db: sqlite3.Connection, ids: Iterable[str], now_ms: int
) -> list[tuple[SpooledMessage, bytes]]:
    """Turn what is stored into handing; return those with their content, in the given order."""
    marked: list[tuple[SpooledMessage, bytes]] = []
    for message_id in ids:
        changed = db.execute(
            "UPDATE message SET state = 'handing', changed_ms = ? "
            "WHERE id = ? AND state = 'stored'",
            (now_ms, message_id),
        )
        if changed.rowcount:
            row = db.execute(
                f"SELECT {_COLUMNS}, content FROM message "  # noqa: S608 - constant
                "JOIN content ON message_id = id WHERE id = ?",
                (message_id,),
            ).fetchone()
            marked.append((_message(row[:-1]), bytes(row[-1])))
    return marked


def learn(db: sqlite3.Connection, message_id: str, fact: Fact, now_ms: int) -> Step | None:
    """Write down what `fact` does to the message and the event it makes; None: no such message."""
    row = db.execute(
        "SELECT state, queue_id, egress_id, local_stage, local_seq, epoch, in_flight, held, "
        "changed_ms, queued_ms, attempted_ms, not_before_ms FROM message WHERE id = ?",
        (message_id,),
    ).fetchone()
    if row is None:
        return None
    state, queue_id, egress_id, local_stage, local_seq, epoch, in_flight, held, *times = row
    changed_ms, queued_ms, attempted_ms, not_before_ms = times
    if fact.kind is FactKind.RECALL and in_flight:
        return Step(State(state))
    result = step(State(state), queue_id, fact)
    if state in FINAL and result.state == state:
        return result
    if fact.queue_id and result.state not in FINAL and not result.doubled:
        queue_id = fact.queue_id
    if result.state not in CONTENT_NEEDED and State(state) in CONTENT_NEEDED:
        # It was marked as being handed over then; Postfix cannot have had it before.
        queued_ms = changed_ms
        db.execute("DELETE FROM content WHERE message_id = ?", (message_id,))
    if fact.asked_receiver:
        attempted_ms = fact.at_ms
    if fact.kind is FactKind.RECALL:
        not_before_ms = fact.not_before_ms
    if result.event is not None:
        repeats = fact.gateway_stage and fact.gateway_stage == local_stage
        if repeats and local_seq > int(meta.read(db, "acked_seq")):
            # The gateway said the same before and the controller has not even heard that: an
            # outage would fill the outbox with attempts that never reached a receiver.
            db.execute("UPDATE message SET in_flight = 0 WHERE id = ?", (message_id,))
            return result
        event = _event(message_id, queue_id, egress_id, epoch, result.event, fact)
        if state == State.RECALLING and result.state is State.RETURNED:
            event.reason = _RECALLED
            if attempted_ms:
                event.not_before.FromMilliseconds(not_before_ms)
        seq = outbox.append(db, event)
        local_stage, local_seq = fact.gateway_stage, seq if fact.gateway_stage else 0
    if fact.kind is FactKind.SEEN and fact.log_line:
        in_flight = 1
    elif fact.kind in _NOT_IN_FLIGHT:
        in_flight = 0
    if result.hold:
        held = 0
    db.execute(
        "UPDATE message SET state = ?, queue_id = ?, local_stage = ?, local_seq = ?, "
        "in_flight = ?, held = ?, changed_ms = ?, queued_ms = ?, attempted_ms = ?, "
        "not_before_ms = ? WHERE id = ?",
        (
            result.state,
            queue_id,
            local_stage,
            local_seq,
            in_flight,
            held,
            now_ms,
            queued_ms,
            attempted_ms,
            not_before_ms,
            message_id,
        ),
    )
    return result


def id_of_queue_file(db: sqlite3.Connection, queue_id: str) -> str | None:
    """The message Postfix knows by `queue_id`."""
    row = db.execute("SELECT id FROM message WHERE queue_id = ?", (queue_id,)).fetchone()
    return None if row is None else str(row[0])


def in_flight(db: sqlite3.Connection, egress_id: str | None = None) -> dict[str, str]:
    """Queue id to message id of queued messages that Postfix may be delivering (of one egress)."""
    rows = db.execute(
        "SELECT queue_id, id FROM message WHERE state = 'queued' AND in_flight = 1 "
        "AND (egress_id = ?1 OR ?1 IS NULL)",
        (egress_id,),
    )
    return {str(a): str(b) for a, b in rows}


def in_postfix(db: sqlite3.Connection) -> list[InPostfix]:
    """All queued messages."""
    rows = db.execute(
        "SELECT id, queue_id, egress_id, epoch, held, in_flight, queued_ms, attempted_ms "
        "FROM message WHERE state = 'queued'"
    )
    return [
        InPostfix(id_, queue_id, egress_id, epoch, bool(held), bool(in_flight), queued, attempted)
        for id_, queue_id, egress_id, epoch, held, in_flight, queued, attempted in rows
    ]


def not_held(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """(id, queue id) of uncertain messages whose queue file is not known to be on hold."""
    rows = db.execute("SELECT id, queue_id FROM message WHERE state = 'uncertain' AND held = 0")
    return [(str(a), str(b)) for a, b in rows]


def mark_held(db: sqlite3.Connection, ids: Iterable[str], held: bool) -> None:
    """Their queue files are on hold or gone, or about to be; or they are not."""
    db.executemany("UPDATE message SET held = ? WHERE id = ?", [(held, i) for i in ids])


def forget_final(db: sqlite3.Connection, before_ms: int, limit: int = 1000) -> int:
    """Drop final messages that ended before `before_ms`; return how many.

    Until then they are remembered, so that a Dispatch repeated late is not sent twice.
    """
    deleted = db.execute(
        "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE changed_ms < ? AND state "
        "IN ('sent', 'bounced', 'expired', 'refused', 'returned') LIMIT ?)",
        (before_ms, limit),
    )
    return deleted.rowcount


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """Messages by open state."""
    rows = db.execute(
        "SELECT state, count(*) FROM message "
        "WHERE state IN ('stored', 'handing', 'queued', 'recalling', 'uncertain') GROUP BY state"
    )
    return {str(state): int(number) for state, number in rows}


def _message(row: tuple[str, str, str, str, int, int, int, str, str]) -> SpooledMessage:
    return SpooledMessage(*row[:7], State(row[7]), row[8])


def _event(
    message_id: str,
    queue_id: str,
    egress_id: str,
    epoch: int,
    kind: node_pb2.EventKind.ValueType,
    fact: Fact,
) -> node_pb2.MessageEvent:
    at = Timestamp()
    at.FromMilliseconds(fact.at_ms)
    return node_pb2.MessageEvent(
        message_id=message_id,
        kind=kind,
        at=at,
        queue_id=fact.queue_id or queue_id,
        egress_id=egress_id,
        dsn=fact.dsn,
        relay=fact.relay,
        reason=fact.reason,
        gateway_stage=fact.gateway_stage,
        log_line=fact.log_line,
        epoch=epoch,
    )
