"""Foresees a campaign that was not started: defines it, looks, and takes it back.

What `campaign start` would refuse is refused. Its recipients are told by time zone and domain, not
by address, so those who are suppressed count; no message is made of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from postfleet.v1 import forecast_pb2

from controller.campaigns.define import SQL as CAMPAIGNS
from controller.campaigns.define import define, never_meet, pool_of
from controller.campaigns.settings import Settings
from controller.campaigns.take import lanes_in, wrong_zone
from controller.fleet.errors import BadRequestError
from controller.forecast.read import Known, read
from controller.forecast.situation import Heap
from controller.store import Transaction, queries

_SQL = queries.load("forecast")
DRAFT = "draft"
MOST_GROUPS = 50_000


@dataclass(frozen=True, slots=True)
class _Group:
    zone: str
    domain: str
    count: int


async def read_draft(
    tx: Transaction,
    settings: Settings,
    recipients: Sequence[forecast_pb2.DraftRecipients],
    actor: str,
) -> Known:
    """To be called in a transaction that is undone. Raises RefusedError, BadRequestError."""
    groups = list(_groups(settings, recipients))
    defined = await define(tx, settings, actor)
    if not defined.made:
        return await read(tx, settings.id)
    refused = await _refused_zones(tx, settings, {group.zone for group in groups})
    placed = [group for group in groups if group.zone not in refused]
    await lanes_in(tx, settings.id, sorted({group.zone for group in placed}), follow_up=False)
    providers = await _providers(tx, placed)
    known = await read(tx, settings.id)
    counts = Counter[tuple[str, str]]()
    for group in placed:
        counts[group.zone, providers.get(group.domain, "unknown")] += group.count
    now = known.situation.now
    heaps = [
        Heap(settings.id, 0, zone, provider, None, now, count)
        for (zone, provider), count in sorted(counts.items())
    ]
    return replace(
        known,
        state=DRAFT,
        refused=sum(group.count for group in groups if group.zone in refused),
        situation=replace(known.situation, heaps=[*known.situation.heaps, *heaps]),
    )


def _groups(
    settings: Settings, recipients: Sequence[forecast_pb2.DraftRecipients]
) -> Iterator[_Group]:
    if len(recipients) > MOST_GROUPS:
        raise BadRequestError(f"recipients: {len(recipients):,} groups; at most {MOST_GROUPS:,}")
    for each in recipients:
        yield _Group(each.time_zone or settings.time_zone, each.domain.lower(), each.count)


async def _refused_zones(tx: Transaction, settings: Settings, zones: set[str]) -> set[str]:
    client = await tx.fetch_one(CAMPAIGNS["client"], id=settings.client_id)
    pool = await pool_of(tx, settings)
    return {
        zone
        for zone in zones
        if wrong_zone(zone) or never_meet(settings.windows, zone, client, pool)
    }


async def _providers(tx: Transaction, groups: Sequence[_Group]) -> dict[str, str]:
    """By domain, of those that were looked up before."""
    domains = sorted({group.domain for group in groups})
    rows = await tx.fetch_all(_SQL["providers"], domains=domains)
    return {row["domain"]: row["provider"] for row in rows}
