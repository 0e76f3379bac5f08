"""What happened: messages with their history, and the audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from postfleet.v1 import fleet_pb2

from controller.fleet.errors import BadRequestError, NotFoundError
from controller.fleet.pages import clean, page, page_size
from controller.message_life import State
from controller.store import Store, Transaction, queries

_SQL = queries.load("fleet")
_MOST_IDS = 10_000
# Of subjects in the audit log.
_KINDS = ("client", "domain", "egress", "fleet", "mailbox", "message", "node", "suppression")


async def messages(
    store: Store | Transaction, request: fleet_pb2.ListMessagesRequest
) -> fleet_pb2.MessageList:
    """Messages by time of acceptance."""
    size = page_size(request.page_size)
    if request.state and request.state not in set(State):
        raise BadRequestError(f"state: {request.state!r}; there are {', '.join(State)}")
    if len(request.ids) > _MOST_IDS:
        raise BadRequestError(f"ids: {len(request.ids):,}; at most {_MOST_IDS:,} in one request")
    rows = await store.fetch_all(
        _SQL["messages_down" if request.newest_first else "messages_up"],
        after=clean(request.page_token, "page_token"),
        state=request.state,
        client_id=clean(request.client_id, "client_id"),
        mailbox=clean(request.mailbox, "mailbox"),
        recipient=clean(request.recipient, "recipient"),
        node_id=clean(request.node_id, "node_id"),
        ids=[clean(each, "ids") for each in request.ids],
        limit=size + 1,
    )
    shown, token = page(rows, size, "id")
    return fleet_pb2.MessageList(
        messages=[fleet_pb2.Message(**row) for row in shown], next_page_token=token
    )


async def message(store: Store, id_: str) -> fleet_pb2.MessageDetail:
    """One message and everything that is on record about it. Raises NotFoundError."""
    found = await messages(store, fleet_pb2.ListMessagesRequest(ids=[id_]))
    if not found.messages:
        raise NotFoundError(f"there is no message {id_!r}; `postfleet message list` shows them")
    row = found.messages[0]
    events = await store.fetch_all(_SQL["message_events"], id=id_)
    return fleet_pb2.MessageDetail(message=row, history=list(_history(row, events)))


def _history(
    row: fleet_pb2.Message, events: list[dict[str, Any]]
) -> Iterator[fleet_pb2.MessageHistory]:
    """What nodes said, framed by the controller's own acts, which no event stands for."""
    yield fleet_pb2.MessageHistory(at=row.accepted_at, event=State.ACCEPTED)
    told = set()
    for event in events:
        kind, stage = event.pop("kind"), event.pop("gateway_stage")
        told.add(kind)
        if stage:
            event["reason"] = f"{event['reason']} (gateway: {stage}; no receiver was asked)"
        yield fleet_pb2.MessageHistory(event=kind, **event)
    if row.HasField("final_at") and row.state not in told and "refused" not in told:
        yield fleet_pb2.MessageHistory(at=row.final_at, event=row.state, reason=row.reason)


async def audit(store: Store, request: fleet_pb2.ListAuditRequest) -> fleet_pb2.AuditList:
    """The audit log, the newest first. A subject is `kind/id`, or an id of any kind."""
    size = page_size(request.page_size)
    token = request.page_token
    if token and not (token.isdecimal() and len(token) < 19):
        raise BadRequestError(f"page_token: {token!r} is not from an earlier page")
    rows = await store.fetch_all(
        _SQL["audit"],
        before=int(token or 0),
        subjects=_subjects(clean(request.subject, "subject")),
        limit=size + 1,
    )
    shown, next_token = page(rows, size, "id")
    return fleet_pb2.AuditList(
        entries=[
            fleet_pb2.AuditEntry(**{**row, "evidence": json.dumps(row["evidence"])})
            for row in shown
        ],
        next_page_token=next_token,
    )


def _subjects(asked: str) -> list[str]:
    if not asked or "/" in asked:
        return [asked] if asked else []
    return [f"{kind}/{asked}" for kind in _KINDS]
