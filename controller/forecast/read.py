"""Takes a situation from the database, all of it as of one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from controller.fleet.errors import NotFoundError, RefusedError
from controller.forecast.situation import Heap, Plan, Sending, Situation, Warming
from controller.planner import ledger
from controller.planner.assignment import Moment, accounts_in
from controller.planner.boxes import Box
from controller.planner.client_round import box_of
from controller.planner.lanes import Lane
from controller.planner.open_lanes import lane_of
from controller.planner.settings import Settings, settings_of
from controller.planner.special import caps_for
from controller.store import Row, Transaction, queries

_SQL = queries.load("forecast")
_SETTINGS = queries.load("inventory")["settings"]
_PROGRESS = queries.load("warm_up")["progress"]


@dataclass(frozen=True, slots=True)
class Known:
    """`under_way`: messages of the campaign that have a time or are on nodes. `state`: its own.

    `refused`: recipients of a draft that a start would not take.
    """

    situation: Situation
    state: str
    under_way: int
    refused: int = 0


async def read(tx: Transaction, id_: str) -> Known:
    """Raises NotFoundError, RefusedError."""
    row = await tx.fetch_optional(_SQL["campaign"], id=id_)
    if row is None:
        raise NotFoundError(f"there is no campaign {id_!r}; `postfleet campaign list` shows them")
    if row["state"] == "cancelled":
        raise RefusedError([f"campaign {id_} was cancelled; nothing of it goes any more"])
    now = await tx.now()
    client_id = row["client_id"]
    stored = await tx.fetch_optional(_SETTINGS)
    settings = settings_of(stored["value"] if stored else None)
    plans = _plans(await tx.fetch_all(_SQL["lanes"], client_id=client_id, id=id_), client_id)
    boxes = await _mailboxes(tx, row, settings, now)
    asked = {"client_id": client_id, "now": now}
    rows = await tx.fetch_all(_SQL["heaps"], **asked)
    rows += await tx.fetch_all(_SQL["following"], **asked, id=id_)
    known = {"", *plans}
    heaps = [_heap(each) for each in rows if each["campaign_id"] in known]
    lanes = [lane for plan in plans.values() for lane in plan.first.values()]
    able = [each.box for each in boxes]
    client = {"id": client_id, "per_day": row["per_day"]}
    caps = await caps_for(tx, client, able, settings, lanes)
    providers = {each.provider for each in heaps}
    accounts = accounts_in(able, providers, Moment(now, now), lanes, caps.curved)
    situation = Situation(
        now,
        id_,
        client_id,
        ZoneInfo(row["time_zone"]),
        settings,
        caps,
        await ledger.used(tx, accounts),
        boxes,
        await _warming(tx, able, row["time_zone"], settings),
        plans,
        heaps,
    )
    return Known(situation, row["state"], row["under_way"])


def _plans(rows: Sequence[Row], client_id: str) -> Mapping[str, Plan]:
    first: dict[str, dict[str, Lane]] = {}
    follow_up: dict[str, dict[str, Lane]] = {}
    delays = {}
    for row in rows:
        kind = follow_up if row["follow_up"] else first
        kind.setdefault(row["campaign_id"], {})[row["time_zone"]] = lane_of(row, client_id)
        delays[row["campaign_id"]] = row["delays_days"]
    for id_, lanes in first.items():
        own = follow_up.setdefault(id_, {})
        for zone, lane in lanes.items():
            own.setdefault(zone, replace(lane, follow_up=True, domains=None))
    return {
        id_: Plan(tuple(delays[id_]), first.get(id_, {}), follow_up[id_]) for id_ in sorted(delays)
    }


async def _mailboxes(
    tx: Transaction, client: Row, settings: Settings, now: datetime
) -> list[Sending]:
    rows = await tx.fetch_all(
        _SQL["boxes"],
        client_id=client["client_id"],
        internal_days=settings.warm_up.internal_days,
        now=now,
    )
    windows = tuple(client["windows"])
    found = []
    for row in rows:
        since = now if row["sends"] and not client["retired"] else None
        if since is not None and row["stopped"]:
            since = row["until"]
        found.append(Sending(box_of(row, client["client_id"], windows), since))
    return found


async def _warming(
    tx: Transaction, boxes: Sequence[Box], client_zone: str, settings: Settings
) -> list[Warming]:
    zones = {box.address: box.week.zone for box in boxes}
    rows = await tx.fetch_all(
        _PROGRESS,
        mailboxes=sorted(zones),
        egresses=sorted({box.sender.egress_id for box in boxes}),
        **settings.curves_as_columns(),
    )
    own = ZoneInfo(client_zone)
    return [
        Warming(
            row["scope"],
            row["subject"],
            row["provider"],
            zones.get(row["subject"], own),
            row["day"],
        )
        for row in rows
    ]


def _heap(row: Row) -> Heap:
    return Heap(
        row["campaign_id"],
        row["step"],
        row["time_zone"],
        row["provider"],
        row["mailbox"],
        row["at"],
        row["count"],
        row.get("charged", False),
    )
