"""What applies to a campaign: its state, windows, burst, pool and share, and what waits in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from controller.fleet.errors import NotFoundError
from controller.planner.calendar import HOUR, hour_of
from controller.planner.lanes import HIGHEST_PRIORITY
from controller.planner.settings import Settings, week_of
from controller.planner.why import Fact
from controller.store import Row, Transaction, queries

_SQL = queries.load("why")


async def why_campaign(tx: Transaction, id_: str, settings: Settings) -> list[Fact]:
    """Raises NotFoundError."""
    now = await tx.now()
    row = await tx.fetch_optional(_SQL["campaign"], id=id_, hour=hour_of(now))
    if row is None:
        raise NotFoundError(f"there is no campaign {id_!r}; `postfleet campaign list` shows them")
    lanes = await tx.fetch_all(_SQL["campaign_lanes"], id=id_)
    rivals = await tx.fetch_all(_SQL["campaign_rivals"], client_id=row["client_id"], id=id_)
    boxes = await tx.fetch_all(
        _SQL["campaign_boxes"],
        client_id=row["client_id"],
        domains=row["domains"],
        mailboxes=row["mailboxes"],
        internal_days=settings.warm_up.internal_days,
        now=now,
    )
    return list(facts(row, lanes, rivals, boxes, now))


def facts(
    row: Row, lanes: Sequence[Row], rivals: Sequence[Row], boxes: Sequence[Row], now: datetime
) -> Iterator[Fact]:
    """Of a campaign, its lanes, who shares with it and its pool (why.sql). Pure."""
    yield _state(row)
    if row["client_retired"]:
        words = f"client {row['client_id']} left the inventory"
        yield Fact("client", words, binds=True, change="postfleet fleet apply")
    yield _waiting(row, lanes)
    yield _windows(row, lanes, now)
    yield _burst(row, now)
    yield from _pool(boxes)
    yield _share(row, rivals)
    unknown = sum(lane["unknown"] for lane in lanes)
    if unknown:
        yield Fact("provider", f"that of {unknown:,} recipients is being looked up",
                   change="the DNS of their domains")  # fmt: skip


def _state(row: Row) -> Fact:
    reason = f": {row['reason']}" if row["reason"] else ""
    return Fact(
        "state",
        f"{row['id']} is {row['state']}{reason}",
        binds=row["state"] in ("paused", "cancelled"),
        since=row["changed_at"],
        evidence=f"by {row['changed_by']}",
        change=f"postfleet campaign resume {row['id']}" if row["state"] == "paused" else "",
    )


def _waiting(row: Row, lanes: Sequence[Row]) -> Fact:
    first, follow = (
        sum(lane["waiting"] for lane in lanes if lane["follow_up"] is kind)
        for kind in (False, True)
    )
    scheduled = sum(lane["scheduled"] for lane in lanes)
    words = [
        f"{first:,} first messages" if first else "",
        f"{follow:,} follow-ups" if follow else "",
        f"{scheduled:,} that have a time" if scheduled else "",
        f"{row['next']:,} recipients for the day of the next follow-up" if row["next"] else "",
    ]
    later = row["next_at"] if row["next"] and not first + follow + scheduled else None
    change = "" if row["recipients"] else "postfleet campaign start FILE"
    value = ", ".join(filter(None, words)) or "nothing of it waits"
    return Fact("waiting", value, binds=not first + follow + scheduled, until=later, change=change)


def _windows(row: Row, lanes: Sequence[Row], now: datetime) -> Fact:
    change = "windows in the campaign file"
    if not row["windows"]:
        return Fact("windows", "always open", change=change)
    zones = sorted({lane["time_zone"] for lane in lanes if lane["waiting"]})
    zones = zones or sorted({lane["time_zone"] for lane in lanes})
    opens = {zone: week_of(zone, tuple(row["windows"])).next_open(now) for zone in zones}
    open_now = [zone for zone in zones if opens[zone] == now]
    text = f"{', '.join(row['windows'])}: "
    if open_now:
        text += f"open for recipients in {_some(open_now)} ({len(open_now)} of {len(zones)} zones)"
        return Fact("windows", text, change=change)
    following = min((each for each in opens.values() if each is not None), default=None)
    text += f"closed for recipients in {_some(zones)}" if zones else "it has no recipients"
    return Fact("windows", text, binds=bool(zones), until=following, change=change)


def _burst(row: Row, now: datetime) -> Fact:
    cap, used = row["burst_per_hour"], row["used"]
    change = "burst_per_hour in the campaign file"
    if cap is None:
        return Fact("burst", f"no limit of its own; {used:,} this hour", change=change)
    full = used >= cap
    return Fact("burst", f"{used:,} of {cap:,} this hour", binds=full,
                until=hour_of(now) + HOUR if full else None, change=change)  # fmt: skip


def _pool(boxes: Sequence[Row]) -> Iterator[Fact]:
    total = sum(row["count"] for row in boxes)
    able = sum(row["count"] for row in boxes if not row["why"])
    ends = [row["until"] for row in boxes if row["until"] is not None]
    yield Fact(
        "pool",
        f"{able:,} of {total:,} mailboxes may send it now" if total else "it has no mailbox",
        binds=not able,
        until=None if able else min(ends, default=None),
        change="pool in the campaign file; what keeps the mailboxes, below",
    )
    for row in boxes:
        if row["why"]:
            yield Fact(
                "mailboxes",
                f"{row['count']:,}: {row['why']}",
                until=row["until"],
                evidence=f"postfleet why mailbox {row['example']}",
            )


def _share(row: Row, rivals: Sequence[Row]) -> Fact:
    own = 1 + row["priority"]
    others = {rival["id"]: 1 + rival["priority"] for rival in rivals}
    whole = own + sum(others.values())
    names = [name or f"single messages (like priority {HIGHEST_PRIORITY})" for name in others]
    words = (
        f"{own} of {whole}, beside {_some(names)}" if names else "nothing else of its client waits"
    )
    return Fact("share", words, change="priority in the campaign file")


def _some(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
