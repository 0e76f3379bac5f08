"""What things cost that have no price of their own. What an operator may write."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from inventory.fields import Strict

Euros = Annotated[float, Field(ge=0, le=1_000_000, strict=True)]


class Costs(Strict):
    """What things cost that have no price of their own, in euros; `postfleet cost` adds them up."""

    proxy_monthly_eur: Euros = 0
    """One SOCKS5 proxy, a month."""
    domain_yearly_eur: Euros = 0
    """One sending domain, a year."""
    mailbox_monthly_eur: Euros = 0
    """One mailbox, a month: what hosts its replies."""
    controller_monthly_eur: Euros = 0
    """The controller's machine and its database, a month."""
