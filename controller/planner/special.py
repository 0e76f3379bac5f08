"""Caps of single subjects that differ from the fleet's: by the inventory and by receivers' words.

The latter are those of view rate_limit: pairs that a receiver wants slower, or does not want now.
"""

from __future__ import annotations

from collections.abc import Collection

from controller.planner.boxes import Box
from controller.planner.limits import Limit
from controller.store import Row, Transaction, queries
from inventory.schema import Limits

SQL = queries.load("planner")


async def special_caps(
    tx: Transaction, client: Row, boxes: Collection[Box], limits: Limits
) -> dict[tuple[Limit, str], int]:
    """Those that concern these mailboxes of a client."""
    caps: dict[tuple[Limit, str], int] = {}
    if client["per_day"] is not None:
        caps[Limit.CLIENT_DAY, client["id"]] = client["per_day"]
    rows = await tx.fetch_all(
        SQL["receivers_limits"],
        egress_ids=sorted({box.sender.egress_id for box in boxes}),
        domains=sorted({box.sender.domain for box in boxes}),
    )
    for row in rows:
        provider, subject, per_hour = row["provider"], row["subject"], row["per_hour"]
        if row["scope"] == "provider-egress":
            most = min(per_hour, limits.provider_egress_per_hour)
            caps[Limit.PROVIDER_EGRESS_HOUR, f"{provider}/{subject}"] = most
        else:
            caps[Limit.DOMAIN_PROVIDER_HOUR, f"{subject}/{provider}"] = per_hour
    return caps
