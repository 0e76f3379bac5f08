"""Makes a campaign, or changes its settings, after asking whether it could send at all."""

from __future__ import annotations

from datetime import UTC, datetime

from postfleet.v1 import campaign_pb2

from controller.audit import write_audit
from controller.campaigns.settings import Settings, changes, fixed_differences, stored
from controller.fleet.errors import RefusedError
from controller.planner.settings import week_of
from controller.planner.windows import meet
from controller.store import Row, Transaction, queries

SQL = queries.load("campaigns")


async def define(
    tx: Transaction, settings: Settings, actor: str
) -> campaign_pb2.DefineCampaignReply:
    """Raises RefusedError with every reason why it cannot be."""
    client = await tx.fetch_optional(SQL["client"], id=settings.client_id)
    if client is None:
        raise RefusedError([f"client {settings.client_id!r} is not in the inventory"])
    pool = await pool_of(tx, settings)
    reasons = await _reasons(tx, settings, client, pool)
    row = await tx.fetch_optional(SQL["lock"], id=settings.id)
    before = stored(row) if row else None
    if before is not None and row is not None:
        reasons += _kept(before, settings, row["state"])
    if reasons:
        raise RefusedError(reasons)
    reply = campaign_pb2.DefineCampaignReply(
        made=before is None,
        changes=changes(before, settings) if before else [],
        state=row["state"] if row else "running",
        mailboxes=pool["mailboxes"],
    )
    if before is None:
        await tx.execute(SQL["make"], **settings.parameters(), actor=actor)
    elif reply.changes:
        await tx.execute(SQL["change"], **settings.parameters(), actor=actor)
    if reply.made or reply.changes:
        await write_audit(
            tx,
            actor=actor,
            action="make-campaign" if reply.made else "change-campaign",
            subject=f"campaign/{settings.id}",
            evidence={"client": settings.client_id, "changes": list(reply.changes)},
        )
    return reply


async def pool_of(tx: Transaction, settings: Settings) -> Row:
    """How many mailboxes it has, and by which clocks they go."""
    return await tx.fetch_one(
        SQL["pool"], client_id=settings.client_id, domains=settings.domains,
        mailboxes=settings.mailboxes,
    )  # fmt: skip


def never_meet(windows: list[str], zone: str, client: Row, pool: Row) -> str:
    """Why nothing can ever be sent in these windows by this clock; '' where it can."""
    if not windows:
        return ""
    now, own = datetime.now(UTC), week_of(zone, tuple(windows))
    boxes = [week_of(each, tuple(client["windows"])) for each in pool["zones"]]
    if any(meet(own, each, now) for each in boxes):
        return ""
    return (
        f"the windows {', '.join(windows)} by {zone} never meet those of the mailboxes "
        f"({', '.join(client['windows'])} by {', '.join(pool['zones'])})"
    )


async def _reasons(tx: Transaction, settings: Settings, client: Row, pool: Row) -> list[str]:
    reasons = [
        f"{row['kind']} {row['name']!r} is not of client {settings.client_id}"
        for row in await tx.fetch_all(
            SQL["strangers"], client_id=settings.client_id, domains=settings.domains or [],
            mailboxes=settings.mailboxes or [],
        )
    ]  # fmt: skip
    if not pool["mailboxes"]:
        reasons.append("there is no mailbox that could send it")
    elif words := never_meet(settings.windows, settings.time_zone, client, pool):
        reasons.append(words)
    return reasons


def _kept(before: Settings, after: Settings, state: str) -> list[str]:
    if before.client_id != after.client_id:
        return [f"campaign {after.id!r} is of client {before.client_id}; choose another name"]
    if state == "cancelled":
        return [f"campaign {after.id!r} was cancelled, for good; choose another name"]
    names = {"text_sha256": "text", "delays_days": "follow-ups"}
    return [
        f"its {names.get(each, each)} cannot change any more: messages were made of it; "
        "make another campaign for the rest"
        for each in fixed_differences(before, after)
    ]
