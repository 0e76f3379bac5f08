"""The limits on sending, and which of them a message counts toward. Pure.

All hold at once and the lowest wins. A limit is kept in accounts of the ledger: one for each
subject and each day or hour. A new limit is a name here, its accounts below (a campaign's: in its
lane), and its cap in `Caps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

from inventory.schema import Limits


class Limit(StrEnum):
    """Names as `postfleet why` shows them."""

    # An enumeration's own takes a call; accounts are looked up often.
    __hash__ = str.__hash__

    MAILBOX_HOUR = "mailbox hour"
    MAILBOX_DAY = "mailbox day"
    EGRESS_HOUR = "egress hour"
    EGRESS_DAY = "egress day"
    MAILBOX_PROVIDER_DAY = "mailbox provider day"
    EGRESS_PROVIDER_DAY = "egress provider day"
    DOMAIN_DAY = "domain day"
    DOMAIN_PROVIDER_DAY = "domain provider day"
    DOMAIN_PROVIDER_HOUR = "domain provider hour"
    PROVIDER_EGRESS_HOUR = "provider egress hour"
    CLIENT_DAY = "client day"
    CAMPAIGN_HOUR = "campaign hour"


SCOPES: Mapping[Limit, str] = {
    Limit.MAILBOX_HOUR: "mailbox",
    Limit.MAILBOX_DAY: "mailbox",
    Limit.EGRESS_HOUR: "egress",
    Limit.EGRESS_DAY: "egress",
    Limit.MAILBOX_PROVIDER_DAY: "mailbox-provider",
    Limit.EGRESS_PROVIDER_DAY: "egress-provider",
    Limit.DOMAIN_DAY: "domain",
    Limit.DOMAIN_PROVIDER_DAY: "domain-provider",
    Limit.DOMAIN_PROVIDER_HOUR: "domain-provider",
    Limit.PROVIDER_EGRESS_HOUR: "provider-egress",
    Limit.CLIENT_DAY: "client",
    Limit.CAMPAIGN_HOUR: "campaign",
}
"""The scope of a limit's accounts in the ledger."""

OF_PROVIDER = frozenset(limit for limit in Limit if "provider" in limit)
"""Those that stop mail to one provider only."""
UNLIMITED = 2**31 - 1


class Account(NamedTuple):
    """A line of the ledger. `bucket`: a local day, or the beginning of an hour."""

    limit: Limit
    subject: str
    bucket: date | datetime

    @property
    def is_hour(self) -> bool:
        return isinstance(self.bucket, datetime)


class Sender(NamedTuple):
    """Who sends: whatever limits are about, but the provider."""

    mailbox: str
    egress_id: str
    domain: str
    client_id: str


def accounts_of_sender(sender: Sender, day: date, hour: datetime) -> tuple[Account, ...]:
    """What every message of a mailbox counts toward."""
    return (
        Account(Limit.MAILBOX_HOUR, sender.mailbox, hour),
        Account(Limit.MAILBOX_DAY, sender.mailbox, day),
        *accounts_shared(sender, day, hour),
    )


def accounts_shared(sender: Sender, day: date, hour: datetime) -> tuple[Account, ...]:
    """Those of them that a mailbox has together with others of its egress and domain."""
    return (
        Account(Limit.EGRESS_HOUR, sender.egress_id, hour),
        Account(Limit.EGRESS_DAY, sender.egress_id, day),
        Account(Limit.DOMAIN_DAY, sender.domain, day),
        Account(Limit.CLIENT_DAY, sender.client_id, day),
    )


def accounts_toward(
    sender: Sender, provider: str, day: date, hour: datetime
) -> tuple[Account, ...]:
    """What a message to this provider counts toward besides."""
    return (
        *tries_toward(sender, provider, hour),
        Account(Limit.DOMAIN_PROVIDER_DAY, f"{sender.domain}/{provider}", day),
    )


def accounts_of_curves(sender: Sender, provider: str, day: date) -> tuple[Account, ...]:
    """What one to a provider with warm-up curves of its own counts toward besides these."""
    return (
        Account(Limit.MAILBOX_PROVIDER_DAY, f"{sender.mailbox}/{provider}", day),
        Account(Limit.EGRESS_PROVIDER_DAY, f"{sender.egress_id}/{provider}", day),
    )


def tries_toward(sender: Sender, provider: str, hour: datetime) -> tuple[Account, ...]:
    """What each try of a message counts toward, the second and third too: a receiver who takes only
    so many an hour minds every one of them."""
    return (
        Account(Limit.PROVIDER_EGRESS_HOUR, f"{provider}/{sender.egress_id}", hour),
        Account(Limit.DOMAIN_PROVIDER_HOUR, f"{sender.domain}/{provider}", hour),
    )


@dataclass(frozen=True)
class Caps:
    """How many messages each limit admits. `special`: of one subject, where it differs; `changes`:
    when that becomes another by itself. `curved`: providers with warm-up curves of their own."""

    usual: Mapping[Limit, int]
    special: Mapping[tuple[Limit, str], int] = field(default_factory=dict)
    changes: Mapping[tuple[Limit, str], datetime] = field(default_factory=dict)
    curved: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        limits: Limits,
        special: Mapping[tuple[Limit, str], int] | None = None,
        changes: Mapping[tuple[Limit, str], datetime] | None = None,
        curved: frozenset[str] = frozenset(),
    ) -> Caps:
        """Those of an inventory."""
        return cls(
            {
                Limit.MAILBOX_HOUR: limits.mailbox_per_hour,
                Limit.MAILBOX_DAY: limits.mailbox_per_day,
                Limit.EGRESS_HOUR: limits.egress_per_hour,
                Limit.EGRESS_DAY: limits.egress_per_day,
                # Only where it warms up toward a provider.
                Limit.MAILBOX_PROVIDER_DAY: UNLIMITED,
                Limit.EGRESS_PROVIDER_DAY: UNLIMITED,
                Limit.DOMAIN_DAY: limits.domain_per_day,
                Limit.DOMAIN_PROVIDER_DAY: limits.domain_provider_per_day,
                # Only where a receiver wants it slower.
                Limit.DOMAIN_PROVIDER_HOUR: UNLIMITED,
                Limit.PROVIDER_EGRESS_HOUR: limits.provider_egress_per_hour,
                Limit.CLIENT_DAY: UNLIMITED
                if limits.client_per_day is None
                else limits.client_per_day,
                # Only where a campaign has a burst.
                Limit.CAMPAIGN_HOUR: UNLIMITED,
            },
            special or {},
            changes or {},
            curved,
        )

    def cap(self, account: Account) -> int:
        """What an account admits in all."""
        if self.special:
            own = self.special.get((account.limit, account.subject))
            if own is not None:
                return own
        return self.usual[account.limit]

    def changes_at(self, account: Account) -> datetime | None:
        """When that changes by itself while the account lasts; None: not that we know."""
        return self.changes.get((account.limit, account.subject))
