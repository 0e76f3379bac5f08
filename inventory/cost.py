"""What a fleet costs a month, by part, and what 1,000 messages cost. Pure.

Prices stand in the inventory: a node's own (`monthly_cost_eur`), and for what has none of its own
`fleet.costs`. The volume is what the caps allow (mailbox and egress, whichever is lower) on each
day of the month, unless somebody knows how much was really delivered.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from inventory.schema import Inventory

DAYS = 30


@dataclass(frozen=True)
class Part:
    """One kind of thing: how many of it, and what they cost together in a month, in euros."""

    name: str
    count: int
    monthly_eur: float


@dataclass(frozen=True)
class Bill:
    """The whole fleet. `messages` a month: what the caps allow, or what was given."""

    fleet: str
    mailboxes: int
    parts: tuple[Part, ...]
    messages: int

    @property
    def monthly_eur(self) -> float:
        """All parts together."""
        return sum(part.monthly_eur for part in self.parts)

    @property
    def per_thousand_eur(self) -> float | None:
        """What 1,000 messages cost; None where nothing is sent."""
        return self.monthly_eur / self.messages * 1000 if self.messages else None


def bill(inventory: Inventory, delivered: int | None = None) -> Bill:
    """What this fleet costs. `delivered`: messages delivered in a month, where that is known."""
    prices = inventory.fleet.costs
    proxies = sum(egress.exit.kind == "socks5" for egress in inventory.egresses)
    mailboxes = sum(len(domain.mailboxes) for domain in inventory.domains)
    domains = len(inventory.domains)
    parts = (
        Part("nodes", len(inventory.nodes), sum(node.monthly_cost_eur for node in inventory.nodes)),
        Part("proxies", proxies, proxies * prices.proxy_monthly_eur),
        Part("domains", domains, domains * prices.domain_yearly_eur / 12),
        Part("mailboxes", mailboxes, mailboxes * prices.mailbox_monthly_eur),
        Part("controller", 1, prices.controller_monthly_eur),
    )
    volume = DAYS * allowed_per_day(inventory) if delivered is None else delivered
    return Bill(inventory.fleet.name, mailboxes, parts, volume)


def allowed_per_day(inventory: Inventory) -> int:
    """The most messages that the caps of mailboxes and egresses let out in a day."""
    limits = inventory.fleet.limits
    loads = Counter(box.egress for domain in inventory.domains for box in domain.mailboxes)
    return sum(min(load * limits.mailbox_per_day, limits.egress_per_day) for load in loads.values())
