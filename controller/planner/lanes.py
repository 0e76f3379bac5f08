"""Lanes: the queues of a client's campaigns beside one another. Pure.

A lane holds the messages of one campaign to the recipients of one time zone; its follow-ups have
lanes of their own. It says when its messages may go (windows), through which mailboxes (pool), and
what its campaign's share is. Mail that belongs to no campaign has the lane 0, always open. Warm-up
mail, which the controller writes itself, has the lane -1: it is in no figure of a campaign, and all
that a mailbox sends on the first days of a warm-up.

Shares: of lanes that may go, the one comes first whose campaign used the least of this hour for its
weight; so of two campaigns with a weight of 2 and 1 the first sends two for one of the other, and a
million waiting messages delay another campaign's ten by no more than its share.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from controller.planner.limits import UNLIMITED, Account, Limit, Sender
from controller.planner.windows import Week

HIGHEST_PRIORITY = 100
WARM_UP = -1
"""The lane of warm-up mail, of every client."""


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """`subject`: of the campaign's accounts: client, slash, campaign or nothing.

    `week`: None, always open. `domains`, `mailboxes`: None, all of the client's. `burst`: the most
    messages of its campaign in an hour.
    """

    id: int = 0
    subject: str = "/"
    # Single messages go like those of the most urgent campaign.
    priority: int = HIGHEST_PRIORITY
    follow_up: bool = False
    week: Week | None = None
    domains: Collection[str] | None = None
    mailboxes: Collection[str] = ()
    burst: int = UNLIMITED

    @property
    def is_internal(self) -> bool:
        """Whether it holds warm-up mail, which stays within the fleet."""
        return self.id == WARM_UP

    @property
    def weight(self) -> int:
        return 1 + self.priority

    @property
    def has_pool(self) -> bool:
        return self.domains is not None

    def admits(self, sender: Sender) -> bool:
        """Whether this mailbox is in its pool."""
        if self.domains is None:
            return True
        return sender.domain in self.domains or sender.mailbox in self.mailboxes

    def account(self, hour: datetime) -> Account:
        """What its messages count toward besides those of their sender and provider."""
        return Account(Limit.CAMPAIGN_HOUR, self.subject, hour)

    def next_open(self, instant: datetime) -> datetime | None:
        """The first instant from this one on at which its windows are open; None: never."""
        return instant if self.week is None else self.week.next_open(instant)


PLAIN = Lane()


def plain_lane(client_id: str) -> Lane:
    """The lane of a client's mail that belongs to no campaign."""
    return Lane(subject=f"{client_id}/")


def warm_up_lane(client_id: str) -> Lane:
    """The lane of warm-up mail between a client's mailboxes; it shares like single messages."""
    return Lane(id=WARM_UP, subject=f"{client_id}/")
