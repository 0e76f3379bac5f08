"""What is counted of a mailbox, an egress or a domain, in all and for each provider. Pure.

A count has a kind. Of a message that a receiver put off only the first time counts, so that the
patience of Postfix makes nothing worse; what our own gateway stopped counts nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from controller.replies import Scope

SENT = "sent"
EXPIRED = "expired"
REPLY = "reply"
UNSUBSCRIBE = "unsubscribe"
COMPLAINT = "complaint"


def bounced(scope: str) -> str:
    """A failure for good, by what it was about."""
    return f"bounced:{scope}"


def deferred(scope: str) -> str:
    """Put off, by what it was about."""
    return f"deferred:{scope}"


BOUNCED = frozenset(bounced(scope) for scope in Scope)
DEFERRED = frozenset(deferred(scope) for scope in Scope)
# What a receiver says about the sender, not about the address, the way, or how busy it is. Of what
# is put off not what a policy is given for: many greylist with that code and other words.
BLOCKED = frozenset(
    {bounced(scope) for scope in (Scope.REPUTATION, Scope.POLICY, Scope.CONTENT)}
    | {deferred(scope) for scope in (Scope.REPUTATION, Scope.CONTENT)}
)
KINDS = frozenset({SENT, EXPIRED, REPLY, UNSUBSCRIBE, COMPLAINT}) | BOUNCED | DEFERRED

Tally = Mapping[str, int]
"""How many of each kind; what is missing is none."""


class Window(StrEnum):
    """So far back is looked."""

    HOUR = "1h"
    DAY = "1d"
    WEEK = "7d"
    MONTH = "30d"

    @property
    def length(self) -> timedelta:
        return _LENGTHS[self]


_LENGTHS = {
    Window.HOUR: timedelta(hours=1),
    Window.DAY: timedelta(days=1),
    Window.WEEK: timedelta(days=7),
    Window.MONTH: timedelta(days=30),
}

Counts = Mapping[Window, Tally]
"""The tally of each window; what is missing is empty."""


def total(tally: Tally, kinds: frozenset[str]) -> int:
    """All of these kinds together."""
    return sum(tally.get(kind, 0) for kind in kinds)
