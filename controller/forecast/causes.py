"""What keeps a campaign's mail in an hour of a forecast, in words. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from controller.planner.assignment import Moment
from controller.planner.boxes import Box
from controller.planner.budgets import Budgets
from controller.planner.calendar import hour_of
from controller.planner.lanes import Lane
from controller.planner.limits import UNLIMITED

WINDOWS = "the campaign's windows are closed"
BURST = "the campaign's burst of the hour is used"
NOBODY = "no mailbox of its pool may send"
INTERNAL = "the mailboxes of its pool are on the internal days of their warm-up"
MAILBOX_WINDOWS = "the windows of the mailboxes are closed"
PACE = "mailboxes spread what their day admits over their windows"
CLOSED = frozenset({WINDOWS, MAILBOX_WINDOWS})
"""Nothing else was looked at in such an hour."""
CHANGES = {
    WINDOWS: "windows in the campaign file",
    BURST: "burst_per_hour in the campaign file",
    NOBODY: "postfleet why campaign says what keeps each of them",
    INTERNAL: "days with warm-up mail; fleet.warm_up.internal_days",
    MAILBOX_WINDOWS: "windows in the inventory",
    PACE: "more mailboxes in its pool, fleet.limits.mailbox_per_day, fleet.pacing",
    "cap: mailbox": "more mailboxes in its pool, fleet.limits.mailbox_per_day and _per_hour",
    "cap: egress": "more egresses, fleet.limits.egress_per_day and _per_hour",
    "cap: domain": "more domains, fleet.limits.domain_per_day and domain_provider_per_day",
    "cap: client": "clients[].per_day, fleet.limits.client_per_day",
}
"""What would change a cause, by how it begins."""
_SUBJECT = re.compile(r"\b(mailbox|egress|domain|client) \S+")


def cause(lanes: Collection[Lane], boxes: Sequence[Box], budgets: Budgets, moment: Moment) -> str:
    """`lanes`: in which mail of the campaign still waits. `boxes`: after the choice."""
    opens = [lane.next_open(moment.now) for lane in lanes]
    if all(each is None or each > moment.until for each in opens):
        return WINDOWS
    accounts = [lane.account(hour_of(moment.now)) for lane in lanes if lane.burst < UNLIMITED]
    if accounts and all(budgets.left(each) == 0 for each in accounts):
        return BURST
    pool = [box for box in boxes if any(lane.admits(box.sender) for lane in lanes)]
    usable = [box for box in pool if not box.internal]
    if not usable:
        return INTERNAL if pool else NOBODY
    if all(_closed(box, moment) for box in usable):
        return MAILBOX_WINDOWS
    held = Counter(_SUBJECT.sub(r"\1", box.slot.held) for box in usable if box.slot.held)
    (words, count), *_ = held.most_common(1) or [("", 0)]
    return words if count * 2 >= len(usable) else PACE


def change_of(words: str) -> str:
    """What would change it."""
    return next((what for begin, what in CHANGES.items() if words.startswith(begin)), "")


def _closed(box: Box, moment: Moment) -> bool:
    opens = box.week.next_open(moment.now)
    return opens is None or opens > moment.until
