"""How a campaign stands, counted."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from postfleet.v1 import campaign_pb2

from controller.campaigns.define import SQL
from controller.campaigns.settings import as_message, stored
from controller.fleet.errors import NotFoundError
from controller.store import Row, Transaction

_ON_NODES = ("dispatched", "queued")


async def status(tx: Transaction, id_: str) -> campaign_pb2.CampaignStatus:
    """Raises NotFoundError."""
    rows = await shown(tx, id_=id_, limit=1)
    if not rows or not id_:
        raise NotFoundError(f"there is no campaign {id_!r}; `postfleet campaign list` shows them")
    told = without_counts(rows[0])
    for row in await tx.fetch_all(SQL["count_messages"], id=id_):
        told.messages[row["state"]] = row["count"]
    told.on_nodes = sum(told.messages.get(state, 0) for state in _ON_NODES)
    refused: Counter[str] = Counter()
    for row in await tx.fetch_all(SQL["count_recipients"], id=id_):
        told.recipients += row["count"]
        if row["state"] == "open":
            told.open += row["count"]
            _add_step(told, row)
        elif row["state"] == "stopped":
            told.stopped[row["reason"]] += row["count"]
        elif row["state"] == "refused":
            # The code; the words behind it name each recipient.
            refused[row["reason"].partition(":")[0]] += row["count"]
    told.refused.update(refused)
    return told


def _add_step(told: campaign_pb2.CampaignStatus, row: Row) -> None:
    """Open recipients of one step; those who get a message once more come in a row of their own."""
    if not told.steps or told.steps[-1].step != row["step"]:
        told.steps.add(step=row["step"])
    step = told.steps[-1]
    step.waiting += row["waiting"]
    step.under_way += row["count"] - row["waiting"]
    if row["next_at"] is not None:
        first = _stamp(row["next_at"])
        if not step.HasField("next_at") or first.ToDatetime() < step.next_at.ToDatetime():
            step.next_at.CopyFrom(first)


async def shown(
    tx: Transaction,
    *,
    id_: str = "",
    after: str = "",
    client_id: str = "",
    filter_: str = "",
    limit: int,
) -> list[Row]:
    """Rows of table campaign."""
    return await tx.fetch_all(
        SQL["show"], id=id_, after=after, client_id=client_id, filter=filter_, limit=limit
    )


def without_counts(row: dict[str, Any]) -> campaign_pb2.CampaignStatus:
    """What stands in the row itself."""
    return campaign_pb2.CampaignStatus(
        settings=as_message(stored(row)),
        state=row["state"],
        reason=row["reason"],
        created_at=_stamp(row["created_at"]),
        created_by=row["created_by"],
        changed_at=_stamp(row["changed_at"]),
        changed_by=row["changed_by"],
    )


def _stamp(instant: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(instant.astimezone(UTC))
    return stamp
