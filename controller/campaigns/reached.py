"""A campaign's recipients, one by one: how far each is."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from postfleet.v1 import campaign_pb2

from controller.campaigns.define import SQL
from controller.fleet.errors import BadRequestError, NotFoundError
from controller.fleet.pages import clean, page, page_size
from controller.message_life import State
from controller.store import Transaction

_STATES = ("open", "done", "stopped", "refused")


async def recipients(
    tx: Transaction, request: campaign_pb2.ListRecipientsRequest
) -> campaign_pb2.RecipientList:
    """A page. Raises NotFoundError, BadRequestError."""
    size = page_size(request.page_size)
    state = _one_of(request.state, "state", _STATES)
    message_state = _one_of(request.message_state, "message_state", list(State))
    id_ = clean(request.id, "id")
    rows = await tx.fetch_all(
        SQL["recipients"],
        id=id_,
        after=clean(request.page_token, "page_token"),
        state=state,
        message_state=message_state,
        limit=size + 1,
    )
    if not rows and await tx.fetch_optional(SQL["lock"], id=id_) is None:
        raise NotFoundError(f"there is no campaign {id_!r}; `postfleet campaign list` shows them")
    shown, token = page(rows, size, "recipient")
    return campaign_pb2.RecipientList(
        recipients=[_told(row) for row in shown], next_page_token=token
    )


def _one_of(given: str, field: str, known: Any) -> str:
    if given and given not in known:
        raise BadRequestError(f"{field}: {given!r}; there are {', '.join(known)}")
    return given


def _told(row: dict[str, Any]) -> campaign_pb2.RecipientStatus:
    next_at = row.pop("next_at")
    told = campaign_pb2.RecipientStatus(address=row.pop("recipient"), **row)
    if next_at is not None:
        told.next_at.FromDatetime(next_at.astimezone(UTC))
    return told
