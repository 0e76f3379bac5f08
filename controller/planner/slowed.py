"""What health leaves of the limits of something that it has slowed. Pure."""

from __future__ import annotations

from controller.planner.limits import Caps, Limit
from inventory.schema import Limits

_LOWERED = {
    "mailbox": (Limit.MAILBOX_HOUR, Limit.MAILBOX_DAY),
    "egress": (Limit.EGRESS_HOUR, Limit.EGRESS_DAY),
    "domain": (Limit.DOMAIN_DAY,),
}


def slow(
    special: dict[tuple[Limit, str], int], limits: Limits, scope: str, subject: str, percent: int
) -> None:
    """Lowers its limits in `special` to that part of what they are there, or of the fleet's."""
    usual = Caps.of(limits).usual
    for limit in _LOWERED[scope]:
        key = limit, subject
        special[key] = slowed_cap(special.get(key, usual[limit]), percent)


def slowed_cap(cap: int, to_percent: int) -> int:
    """What is left of a limit; one at least, for otherwise it would be a stop."""
    return max(min(cap, 1), cap * to_percent // 100)
