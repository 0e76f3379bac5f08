"""Whether a machine that somebody wants to fence gives signs of life. Pure.

A silent node may still be alive and sending (cut from the controller only), so none of these words
is a proof; but one that speaks is certainly not off.
"""

from __future__ import annotations

from enum import StrEnum

from controller.leases.timing import LeaseTiming

# A heartbeat may be late on a slow link; three that are missing are no accident.
_HEARTBEATS = 3


class Life(StrEnum):
    """What the controller can say of a node from where it stands."""

    # It spoke within the last heartbeats, or did so after it was heard last by this database.
    ALIVE = "alive"
    # Heard within a lease's time, or its stream is still open: too early to say.
    UNCLEAR = "unclear"
    SILENT = "silent"


def signs_of_life(connected: bool, silent_s: float | None, timing: LeaseTiming) -> Life:
    """`silent_s`: since it was heard last; None: never. `connected`: its stream is open."""
    if silent_s is None:
        return Life.UNCLEAR if connected else Life.SILENT
    if silent_s < _HEARTBEATS * timing.heartbeat_s:
        return Life.ALIVE
    return Life.UNCLEAR if connected or silent_s < timing.ttl_s else Life.SILENT
