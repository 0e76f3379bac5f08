"""What a forecast begins with: a client's mailboxes and mail as they are. Plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from controller.planner.boxes import Box
from controller.planner.lanes import Lane
from controller.planner.limits import Account, Caps
from controller.planner.settings import Settings


@dataclass(frozen=True, slots=True)
class Sending:
    """A mailbox and from when on it may send; `since` None: not as long as nobody does anything."""

    box: Box
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Heap:
    """So many equal messages that wait, or come at `at`. `campaign` '': of none.

    `step`: 0 is the first message of a campaign. `zone`: of the recipients, in campaigns.
    `charged`: they were tried before.
    """

    campaign: str
    step: int
    zone: str
    provider: str
    mailbox: str | None
    at: datetime
    count: int
    charged: bool = False


@dataclass(frozen=True, slots=True)
class Warming:
    """A warm-up of a mailbox or egress (`scope`), on that day of its curve. `provider`: of one
    toward a provider alone, or ''."""

    scope: str
    subject: str
    provider: str
    zone: ZoneInfo
    day: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign: days after the message before it, of each follow-up; its lanes by zone."""

    delays_days: Sequence[int]
    first: Mapping[str, Lane]
    follow_up: Mapping[str, Lane]


@dataclass(frozen=True, slots=True)
class Situation:
    """All of one client's, as of `now`. `campaign`: which one is asked about, one of `plans`.

    `zone`: by which days are told. `used`: of the ledger. `heaps`: what waits and, with a later
    `at`, what comes.
    """

    now: datetime
    campaign: str
    client_id: str
    zone: ZoneInfo
    settings: Settings
    caps: Caps
    used: Mapping[Account, int]
    mailboxes: Sequence[Sending]
    warming: Sequence[Warming]
    plans: Mapping[str, Plan]
    heaps: Sequence[Heap]
