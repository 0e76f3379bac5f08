"""Caps of single subjects that differ from the fleet's: of warm-ups, of campaigns' bursts, and by
receivers' words.

The last are those of view rate_limit: pairs that a receiver wants slower, or does not want now.
They change by themselves, and it is known when.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from controller.planner.boxes import Box
from controller.planner.lanes import Lane
from controller.planner.limits import UNLIMITED, Caps, Limit
from controller.planner.settings import Settings
from controller.planner.slowed import slow
from controller.planner.warm_up_caps import warm_up_account, warm_up_cap
from controller.store import Row, Transaction, queries

SQL = queries.load("planner")
WARM_UP = queries.load("warm_up")
HEALTH = queries.load("health")


async def caps_for(
    tx: Transaction,
    client: Row,
    boxes: Collection[Box],
    settings: Settings,
    lanes: Iterable[Lane] = (),
) -> Caps:
    """The fleet's, with those that concern these mailboxes and lanes of a client."""
    special: dict[tuple[Limit, str], int] = {
        (Limit.CAMPAIGN_HOUR, lane.subject): lane.burst for lane in lanes if lane.burst < UNLIMITED
    }
    changes: dict[tuple[Limit, str], datetime] = {}
    if client["per_day"] is not None:
        special[Limit.CLIENT_DAY, client["id"]] = client["per_day"]
    egress_ids = sorted({box.sender.egress_id for box in boxes})
    warming = await tx.fetch_all(
        WARM_UP["progress"],
        mailboxes=[box.address for box in boxes],
        egresses=egress_ids,
        **settings.curves_as_columns(),
    )
    for row in warming:
        scope, subject, provider = row["scope"], row["subject"], row["provider"]
        special[warm_up_account(scope, subject, provider)] = warm_up_cap(
            settings, scope, provider, row["day"]
        )
    domains = sorted({box.sender.domain for box in boxes})
    slowed = await tx.fetch_all(
        HEALTH["slowed"],
        mailboxes=[box.address for box in boxes],
        egress_ids=egress_ids,
        domains=domains,
    )
    for row in slowed:
        slow(special, settings.limits, row["scope"], row["subject"], settings.slowed_to_percent)
    slower = await tx.fetch_all(SQL["receivers_limits"], egress_ids=egress_ids, domains=domains)
    for row in slower:
        provider, subject, per_hour = row["provider"], row["subject"], row["per_hour"]
        pair = Limit.DOMAIN_PROVIDER_HOUR, f"{subject}/{provider}"
        if row["scope"] == "provider-egress":
            pair = Limit.PROVIDER_EGRESS_HOUR, f"{provider}/{subject}"
            per_hour = min(per_hour, settings.limits.provider_egress_per_hour)
        special[pair] = per_hour
        if row["changes_at"] is not None:
            changes[pair] = row["changes_at"]
    return Caps.of(settings.limits, special, changes, settings.curved)
