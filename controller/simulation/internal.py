"""Warm-up mail of a simulated day: what warming mailboxes write to others of the fleet.

How much is the controller's own `controller.warm_up.quota`; whom and when within the day is not
modelled: all of it waits from the morning, and what found no slot by night is dropped, as the
controller drops what is a day late. A mailbox of the fleet takes it always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from controller.planner.lanes import Lane, warm_up_lane
from controller.planner.warm_up import allowance
from controller.simulation.fleet import VirtualFleet
from controller.simulation.mail import Letter
from controller.warm_up.quota import Progress, quota
from controller.warm_up.threads import awake

PROVIDER = "the fleet"
"""No provider of the table: whose mailboxes these are."""
NO_CAMPAIGN = -1


class WarmUpMail:
    """Of one fleet."""

    def __init__(self, fleet: VirtualFleet) -> None:
        self._fleet = fleet
        self._lanes: dict[str, Lane] = {client: warm_up_lane(client) for client in fleet.clients}
        self._sharing = Counter(
            box.sender.egress_id for boxes in fleet.boxes.values() for box in boxes.values()
        )
        across = fleet.settings.warm_up.across_clients
        self._others = fleet.mailboxes if across else None

    def lane(self, client: str) -> Lane:
        """In which a client's warm-up mail waits."""
        return self._lanes[client]

    def due(self, morning: datetime) -> Iterator[tuple[str, Letter, int]]:
        """(client, message, how many) of the day that begins, of mailboxes with somebody to write
        to."""
        if not self._fleet.warming:
            return
        for client, boxes in self._fleet.boxes.items():
            if (self._others or len(boxes)) < 2:
                continue
            for address, box in boxes.items():
                # Nobody writes on a day on which nobody works.
                week = awake(box.week)
                if not week.open_on(week.day_of(morning)):
                    continue
                count = self._quota(address, box.sender.egress_id)
                if count:
                    yield client, self._letter(client, address, morning), count

    def _letter(self, client: str, address: str, morning: datetime) -> Letter:
        lane = self._lanes[client]
        return Letter(f"warm-up/{address}", address, PROVIDER, morning, False, lane, NO_CAMPAIGN)

    def _quota(self, address: str, egress_id: str) -> int:
        settings = self._fleet.settings
        mailbox = self._progress("mailbox", address, 1)
        egress = self._progress("egress", egress_id, self._sharing[egress_id])
        warm_up = settings.warm_up
        most = quota(mailbox, egress, warm_up.internal_days, warm_up.mixed_days)
        return min(most, settings.day_limit("mailbox"))

    def _progress(self, scope: str, subject: str, shared_by: int) -> Progress | None:
        each = self._fleet.warming.get((scope, subject, ""))
        if each is None:
            return None
        most = allowance(self._fleet.settings.curves[scope], each.day)
        return Progress(each.day, max(1, most // shared_by))
