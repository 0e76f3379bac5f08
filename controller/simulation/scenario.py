"""What an operator may write into a scenario (YAML). The docstring below a field is its reference
documentation (docs/reference/scenario.md is generated from it).
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from inventory.fields import Allowed, Count, Strict
from inventory.pacing import Window

MOST_DAYS = 3660

Day = Annotated[Count, Field(ge=1, le=MOST_DAYS)]
Percent = Annotated[float, Field(ge=0, le=100, strict=True)]
Limit = Annotated[float, Field(ge=0.001, le=100, strict=True)]
PerHour = Annotated[Count, Field(ge=0, le=1_000_000)]
Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$"),
    Allowed("1 to 48 of a-z, 0-9 and -, not beginning with -"),
]
Whose = Annotated[
    str,
    StringConstraints(pattern=r"^(\*|#[1-9]\d{0,3}|[a-z0-9][a-z0-9-]{0,30})$"),
    Allowed('a client\'s id, "#2" for the second client, or "*" for all'),
]


def _iso_day(value: object) -> date:
    if isinstance(value, str) and len(value) == 10:
        return date.fromisoformat(value)
    raise ValueError("must be a day, such as 2026-03-02")


StartDay = Annotated[date, BeforeValidator(_iso_day), Allowed("a day, such as 2026-03-02")]


class Campaign(Strict):
    """Mail of a client: so many recipients, all at once or day by day."""

    name: Name
    """For the results; events name it."""
    client: Whose
    """Whose it is. `*`: one such campaign for each client, the recipients shared out by their
    mailboxes; `#2`: the second client of the inventory."""
    recipients: Annotated[Count, Field(ge=1, le=100_000_000)]
    """How many it writes to."""
    priority: Annotated[Count, Field(ge=0, le=100)] = 0
    """Among the campaigns of its client, as in a campaign's own file."""
    burst_per_hour: Annotated[Count, Field(ge=1, le=1_000_000)] | None = None
    """The most messages of it in an hour; none: what its mailboxes may send."""
    starts: Day = 1
    """The day on which its mail begins to come; 1 is the first."""
    over_days: Day = 1
    """Its mail comes in equal parts on so many days; 1: all at once."""
    follow_ups: tuple[Day, ...] = ()
    """Days after the message before it at which each follow-up goes, from the same mailbox."""
    stop_percent: Percent = 15
    """Recipients who answer or unsubscribe before the next follow-up, and so get no more."""
    unknown_percent: Percent = 0.5
    """Addresses of its list that do not exist."""
    complaint_percent: Percent = 0.01
    """Messages that a recipient calls spam."""


class Receiver(Strict):
    """How one provider behaves: what is hidden from the controller. Providers that are not named
    behave as shipped; what is not said of one is the default here."""

    provider: Name
    """Its name, as in the table of providers (`google`)."""
    share_percent: Percent = 0
    """Recipients who have their mailboxes there; together at most 100, the rest is `other`'s."""
    per_egress_hour: PerHour = 120
    """Messages it takes an hour from an egress that it trusts; what is more it puts off."""
    new_egress_hour: PerHour = 15
    """The same of one that it does not know yet."""
    growth_percent: Percent = 12
    """How much that grows with each day on which it took mail and had nothing against it."""
    complaint_limit_percent: Limit = 0.1
    """Complaints above which it thinks less of a domain or egress; at ten times as many it takes
    next to nothing more."""
    unknown_limit_percent: Limit = 5
    """The same for addresses that do not exist."""
    busy_percent: Percent = 0.3
    """Messages it puts off for no reason of ours (greylisting, a full mailbox)."""


class Event(Strict):
    """A provider or a campaign that becomes another on a day."""

    day: Day
    """The day; 1 is the first."""
    provider: Name | None = None
    """The provider that changes; it or `campaign` is named."""
    campaign: Name | None = None
    """The campaign that changes."""
    per_egress_hour: PerHour | None = None
    """Of the provider, from that day on."""
    growth_percent: Percent | None = None
    """Of the provider."""
    complaint_limit_percent: Limit | None = None
    """Of the provider."""
    unknown_limit_percent: Limit | None = None
    """Of the provider."""
    busy_percent: Percent | None = None
    """Of the provider."""
    unknown_percent: Percent | None = None
    """Of the campaign, from that day on."""
    complaint_percent: Percent | None = None
    """Of the campaign."""


class Scenario(Strict):
    """What mail comes, how receivers are, and what happens. The fleet is the inventory's."""

    version: Literal[1]
    """Of this format; always 1."""
    name: Name
    """For the results."""
    about: Annotated[str, StringConstraints(max_length=1000)] = ""
    """What it is for, in a sentence or two."""
    start: StartDay = date(2026, 3, 2)
    """The first day; weekdays and changes of the clock follow from it."""
    mailboxes: Literal["inventory", "new", "warm"] = "inventory"
    """`inventory`: warm-ups begin as the inventory says. `new`: every mailbox and egress begins one
    on the first day, and no receiver knows any of them. `warm`: nothing warms up."""
    windows: tuple[Window, ...] | None = None
    """Sending windows in place of all of the inventory's; none: the inventory's."""
    pacing: Literal["inventory", "default"] = "inventory"
    """`default`: limits and pacing of an inventory that does not name any. The reference fleet's
    own are those of a lab that has no day to wait."""
    campaigns: tuple[Campaign, ...]
    """The mail that comes."""
    receivers: tuple[Receiver, ...] = ()
    """Providers that differ from the shipped ones."""
    events: tuple[Event, ...] = ()
    """What happens meanwhile."""
