"""The fleet-wide settings as this process read them last: lease timing, horizon, and the rest.

Settings change by applying an inventory, on any controller; loops call `refresh` every second or
so. Nothing that must be exact depends on how old this is: lease durations are written into the
lease itself at each renewal.
"""

from __future__ import annotations

from controller.desired.read import read_fleet
from controller.leases.timing import LeaseTiming
from controller.store import Store
from inventory.schema import Fleet, LeaseSettings


class CurrentFleet:
    """Settings with the schema's defaults until there is an inventory."""

    def __init__(self) -> None:
        self.fleet: Fleet | None = None
        self.timing = timing_of(None)

    @property
    def horizon_s(self) -> int:
        """How long before not_before a message may go to its node."""
        return self.fleet.dispatch_horizon_s if self.fleet else 0

    async def refresh(self, store: Store) -> None:
        """Reads the settings. Raises StoreError; what was read before then stays."""
        async with store.transaction() as tx:
            fleet = await read_fleet(tx)
        if fleet is not None:
            self.timing = timing_of(fleet)
        self.fleet = fleet


def timing_of(fleet: Fleet | None) -> LeaseTiming:
    """How leases are timed; the schema's defaults where there is no inventory."""
    lease = fleet.lease if fleet else LeaseSettings()
    return LeaseTiming(ttl_s=lease.ttl_s, margin_s=lease.margin_s, heartbeat_s=lease.heartbeat_s)
