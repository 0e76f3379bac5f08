"""One round of choice without a database: mailboxes, mail, limits, and what was pulled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from controller.planner.assignment import Choice, Moment
from controller.planner.boxes import Box, Queues, Slot, Waiting
from controller.planner.budgets import Budgets
from controller.planner.calendar import HOUR
from controller.planner.choice import choose
from controller.planner.limits import Account, Caps, Limit, Sender
from controller.planner.slots import Pace
from controller.planner.windows import Week
from inventory.schema import Limits

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOON.date()
MOMENT = Moment(NOON, NOON + timedelta(minutes=5))
ALWAYS = Week(ZoneInfo("UTC"))
AT_ONCE = Pace(spread=False, min_gap=timedelta(0), jitter=0)
WIDE = Limits(mailbox_per_hour=1000, egress_per_hour=1000, provider_egress_per_hour=1000)


def box(
    name: str, egress: str = "e1", domain: str = "d.test", week: Week = ALWAYS, **slot: object
) -> Box:
    sender = Sender(f"{name}@{domain}", egress, domain, "acme")
    return Box(sender, name.title(), week, seed=7, slot=Slot(**slot))  # type: ignore[arg-type]


def mail(
    count: int, mailbox: str | None = None, to: str = "google", **more: object
) -> list[Waiting]:
    return [
        Waiting(f"{mailbox or ''}{to}{n:04}", mailbox, to, NOON - HOUR, **more)  # type: ignore[arg-type]
        for n in range(count)
    ]


def pull(
    boxes: Iterable[Box],
    messages: Iterable[Waiting],
    limits: Limits = WIDE,
    used: dict[Account, int] | None = None,
    special: dict[tuple[Limit, str], int] | None = None,
    changes: dict[tuple[Limit, str], datetime] | None = None,
    pace: Pace = AT_ONCE,
    most: int = 500,
    moment: Moment = MOMENT,
) -> Choice:
    budgets = Budgets(Caps.of(limits, special, changes), used or {})
    return choose(boxes, Queues(messages), budgets, moment, pace, most)


def per_mailbox(choice: Choice) -> dict[str, int]:
    return dict(Counter(a.sender.mailbox[0] for a in choice.assignments))
