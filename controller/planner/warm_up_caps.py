"""Which limit a warm-up lowers, and to what. Pure."""

from __future__ import annotations

from controller.planner.limits import Limit
from controller.planner.settings import Settings
from controller.planner.warm_up import allowance

_DAYS = {"mailbox": Limit.MAILBOX_DAY, "egress": Limit.EGRESS_DAY}
_DAYS_TOWARD = {"mailbox": Limit.MAILBOX_PROVIDER_DAY, "egress": Limit.EGRESS_PROVIDER_DAY}


def warm_up_account(scope: str, subject: str, provider: str) -> tuple[Limit, str]:
    """What is limited, as in `Caps.special`: a mailbox or an egress, of all its mail ('') or of
    what goes to one provider."""
    if not provider:
        return _DAYS[scope], subject
    return _DAYS_TOWARD[scope], f"{subject}/{provider}"


def warm_up_cap(settings: Settings, scope: str, provider: str, day: int) -> int:
    """Messages that this day of such a warm-up admits."""
    return min(allowance(settings.curve(scope, provider), day), settings.day_limit(scope))
