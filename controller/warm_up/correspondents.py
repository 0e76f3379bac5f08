"""The mailboxes that write warm-up mail and are written to, with how much they may write today."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from controller.planner.settings import Settings, week_of
from controller.planner.warm_up import allowance
from controller.store import Row, Transaction, queries
from controller.warm_up.quota import REPLIES_OF_OTHERS, Progress, quota
from controller.warm_up.threads import Correspondent

SQL = queries.load("warm_up_mail")


@dataclass(frozen=True, slots=True)
class Desk:
    """A correspondent today. `quota`: messages of warm-up mail it writes, threads begun at most;
    `written`: those it has for today already."""

    who: Correspondent
    quota: int
    allowance: int
    written: int

    @property
    def room(self) -> int:
        """Messages it may still write, replies first."""
        return min(self.allowance, max(self.quota, REPLIES_OF_OTHERS)) - self.written


async def desks(
    tx: Transaction, client_ids: Collection[str], settings: Settings, now: datetime
) -> dict[str, Desk]:
    """By address: the mailboxes of these clients, and others where the inventory lets them write to
    one another."""
    rows = await tx.fetch_all(
        SQL["correspondents"],
        client_ids=sorted(client_ids),
        everybody=settings.warm_up.across_clients and bool(client_ids),
        now=now,
    )
    return {row["address"]: desk(row, settings) for row in rows}


def desk(row: Row, settings: Settings) -> Desk:
    """From a row of `correspondents`. Pure."""
    who = Correspondent(
        row["address"],
        row["client_id"],
        row["display_name"],
        week_of(row["time_zone"], tuple(row["windows"])),
        row["seed"],
    )
    mailbox = _progress("mailbox", row["mailbox_day"], settings, 1)
    egress = _progress("egress", row["egress_day"], settings, row["on_egress"])
    most = min(
        settings.day_limit("mailbox"),
        *(each.allowance for each in (mailbox, egress) if each is not None),
        settings.day_limit("egress"),
    )
    warm_up = settings.warm_up
    return Desk(
        who,
        min(most, quota(mailbox, egress, warm_up.internal_days, warm_up.mixed_days)),
        most,
        row["written"],
    )


def _progress(scope: str, day: int | None, settings: Settings, shared_by: int) -> Progress | None:
    if day is None:
        return None
    most = allowance(settings.curves[scope], day)
    return Progress(day, max(1, most // shared_by))
