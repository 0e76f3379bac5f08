"""Caps of single subjects that differ from the fleet's: of warm-ups, and by receivers' words.

The latter are those of view rate_limit: pairs that a receiver wants slower, or does not want now.
"""

from __future__ import annotations

from collections.abc import Collection

from controller.planner.boxes import Box
from controller.planner.limits import Limit
from controller.planner.settings import Settings
from controller.planner.warm_up import allowance
from controller.store import Row, Transaction, queries

SQL = queries.load("planner")
WARM_UP = queries.load("warm_up")


async def special_caps(
    tx: Transaction, client: Row, boxes: Collection[Box], settings: Settings
) -> dict[tuple[Limit, str], int]:
    """Those that concern these mailboxes of a client."""
    caps: dict[tuple[Limit, str], int] = {}
    if client["per_day"] is not None:
        caps[Limit.CLIENT_DAY, client["id"]] = client["per_day"]
    egress_ids = sorted({box.sender.egress_id for box in boxes})
    warming = await tx.fetch_all(
        WARM_UP["progress"], mailboxes=[box.address for box in boxes], egresses=egress_ids
    )
    for row in warming:
        limit = Limit.MAILBOX_DAY if row["scope"] == "mailbox" else Limit.EGRESS_DAY
        most = allowance(settings.curves[row["scope"]], row["day"])
        caps[limit, row["subject"]] = min(most, settings.day_limit(row["scope"]))
    domains = sorted({box.sender.domain for box in boxes})
    slower = await tx.fetch_all(SQL["receivers_limits"], egress_ids=egress_ids, domains=domains)
    for row in slower:
        provider, subject, per_hour = row["provider"], row["subject"], row["per_hour"]
        if row["scope"] == "provider-egress":
            most = min(per_hour, settings.limits.provider_egress_per_hour)
            caps[Limit.PROVIDER_EGRESS_HOUR, f"{provider}/{subject}"] = most
        else:
            caps[Limit.DOMAIN_PROVIDER_HOUR, f"{subject}/{provider}"] = per_hour
    return caps
