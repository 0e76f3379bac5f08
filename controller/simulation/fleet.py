"""The fleet of an inventory as the planner sees it: mailboxes with their slots, states, warm-ups.

What the controller keeps in PostgreSQL is plain data here. A warm-up begins, is judged after each
local day and ends as in `controller.loops.warming`, by the same `controller.planner.warm_up`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from controller.planner.boxes import Box, Slot
from controller.planner.limits import Limit, Sender
from controller.planner.settings import Settings, settings_of, week_of
from controller.planner.warm_up import Signal, judge
from controller.planner.warm_up_caps import warm_up_account, warm_up_cap
from controller.simulation.scenario import Scenario
from inventory.pacing import Pacing
from inventory.schema import Client, Inventory, Limits


@dataclass(slots=True)
class Progress:
    """A warm-up: its day of the curve; `today`: the local day that is not judged yet; `sent`:
    whether a receiver took mail on it; `signal`: what health says. `provider`: of one toward a
    provider alone, or ''."""

    scope: str
    subject: str
    provider: str
    zone: ZoneInfo
    day: int
    today: date
    sent: bool = False
    signal: Signal = Signal.NONE


class VirtualFleet:
    """All mailboxes of an inventory that send, on the first day of a scenario."""

    def __init__(self, inventory: Inventory, scenario: Scenario, seed: int) -> None:
        self.inventory = inventory
        self.settings = _settings(inventory, scenario)
        self.zone = ZoneInfo(inventory.fleet.time_zone)
        self.clients = {client.id: client for client in inventory.clients}
        self.boxes: dict[str, dict[str, Box]] = {client: {} for client in self.clients}
        """By client and address."""
        self.warming: dict[tuple[str, str, str], Progress] = {}
        """By scope (mailbox, egress), subject and provider ('': for all mail)."""
        self._client_of: dict[str, str] = {}
        self._zones: dict[tuple[str, str], ZoneInfo] = {}
        for box in _boxes(inventory, scenario, seed):
            self.boxes[box.sender.client_id][box.address] = box
            self._client_of[box.address] = box.sender.client_id
        self._begin(scenario)

    @property
    def mailboxes(self) -> int:
        return sum(map(len, self.boxes.values()))

    def keep_slots(self, client: str, slots: dict[str, Slot]) -> None:
        """Writes what the planner made of a client's slots."""
        boxes = self.boxes[client]
        for address, slot in slots.items():
            box = boxes[address]
            boxes[address] = Box(
                box.sender, box.display_name, box.week, box.seed, slot, box.health, box.internal
            )

    def warm_up_caps(self) -> dict[tuple[Limit, str], int]:
        """What warm-ups admit today, as special caps of the planner."""
        return {
            warm_up_account(each.scope, each.subject, each.provider): warm_up_cap(
                self.settings, each.scope, each.provider, each.day
            )
            for each in self.warming.values()
        }

    def stage(self, sender: Sender) -> str:
        """`internal`, `warming` or `active`: of mailbox and egress what is less far."""
        days = [
            progress.day
            for key in (("mailbox", sender.mailbox, ""), ("egress", sender.egress_id, ""))
            if (progress := self.warming.get(key)) is not None
        ]
        if not days:
            return "active"
        return "internal" if min(days) <= self.settings.warm_up.internal_days else "warming"

    def note_sent(self, sender: Sender, provider: str, day: date) -> None:
        """A receiver took mail: the day counts for what is warming."""
        for toward in ("", provider) if provider in self.settings.curved else ("",):
            for key in (("mailbox", sender.mailbox, toward), ("egress", sender.egress_id, toward)):
                progress = self.warming.get(key)
                if progress is not None and day >= progress.today:
                    progress.sent = True

    def judge(self, now: datetime) -> bool:
        """Goes on with warm-ups whose local day is over; whether any was judged."""
        over = [each for each in self.warming.values() if _today(now, each.zone) > each.today]
        for each in over:
            curve = self.settings.curve(each.scope, each.provider)
            limit = self.settings.day_limit(each.scope)
            judged = judge(curve, each.day, limit, sent=each.sent, signal=each.signal)
            each.day, each.today, each.sent = judged.day, _today(now, each.zone), False
            if each.signal is Signal.BACK:
                each.signal = Signal.NONE
            if judged.over:
                del self.warming[each.scope, each.subject, each.provider]
        if over:
            self._mark_internal()
        return bool(over)

    def signal(self, key: tuple[str, str], signal: Signal) -> None:
        """What health says of a mailbox or egress (scope, subject), as `health.sql` keeps it: a
        step back stays until a day was judged."""
        for progress in self._warm_ups_of(key):
            if signal is Signal.BACK or progress.signal is not Signal.BACK:
                progress.signal = signal

    def set_health(self, address: str, value: float) -> None:
        """A mailbox's score, above 0 up to 1."""
        boxes = self.boxes[self._client_of[address]]
        boxes[address] = boxes[address]._replace(health=value)

    def begin_anew(self, key: tuple[str, str], now: datetime) -> None:
        """It warms up from the first day; of a domain, its mailboxes."""
        scope, subject = key
        if scope == "domain":
            for address in self._client_of:
                if address.endswith(f"@{subject}"):
                    self.begin_anew(("mailbox", address), now)
            return
        zone = self._zones[key]
        for each, provider in self.settings.warm_ups:
            if each == scope:
                self.warming[scope, subject, provider] = Progress(
                    scope, subject, provider, zone, 1, _today(now, zone)
                )
        self._mark_internal()

    def _warm_ups_of(self, key: tuple[str, str]) -> Iterator[Progress]:
        for provider in ("", *self.settings.curved):
            progress = self.warming.get((*key, provider))
            if progress is not None:
                yield progress

    def _mark_internal(self) -> None:
        """Which mailboxes send warm-up mail alone."""
        for boxes in self.boxes.values():
            for address, box in boxes.items():
                internal = self.stage(box.sender) == "internal"
                if internal is not box.internal:
                    boxes[address] = box._replace(internal=internal)

    def _begin(self, scenario: Scenario) -> None:
        for scope, subject, warming, client, zone in _what_may_warm(self.inventory):
            name = zone or self.clients[client].time_zone or self.inventory.fleet.time_zone
            own = self._zones[scope, subject] = ZoneInfo(name)
            if scenario.mailboxes == "warm" or not (warming or scenario.mailboxes == "new"):
                continue
            since = 1
            if "-" in warming and scenario.mailboxes == "inventory":
                since = (scenario.start - date.fromisoformat(warming)).days + 1
            for each, provider in self.settings.warm_ups:
                if each == scope:
                    day = max(1, min(since, self.settings.curve(scope, provider)[-1][0]))
                    self.warming[scope, subject, provider] = Progress(
                        scope, subject, provider, own, day, scenario.start
                    )
        self._mark_internal()


def _today(now: datetime, zone: ZoneInfo) -> date:
    return now.astimezone(zone).date()


def _settings(inventory: Inventory, scenario: Scenario) -> Settings:
    settings = settings_of(inventory.fleet.model_dump(mode="json"))
    if scenario.pacing == "inventory":
        return settings
    usual = settings_of({"pacing": Pacing().model_dump(mode="json")})
    return replace(settings, limits=Limits(), pace=usual.pace)


def _boxes(inventory: Inventory, scenario: Scenario, seed: int) -> Iterator[Box]:
    clients = {client.id: client for client in inventory.clients}
    for domain in inventory.domains:
        client = clients[domain.client]
        zone = domain.time_zone or client.time_zone or inventory.fleet.time_zone
        week = week_of(zone, _windows(inventory, client, scenario))
        for mailbox in domain.mailboxes:
            address = f"{mailbox.local_part}@{domain.name}"
            sender = Sender(address, mailbox.egress, domain.name, client.id)
            yield Box(sender, mailbox.name, week, _number(seed, address))


def _windows(inventory: Inventory, client: Client, scenario: Scenario) -> tuple[str, ...]:
    if scenario.windows is not None:
        return scenario.windows
    return inventory.fleet.pacing.windows if client.windows is None else client.windows


def _what_may_warm(inventory: Inventory) -> Iterator[tuple[str, str, str, str, str | None]]:
    """(scope, subject, `warming` of the inventory, client, time zone of its own)."""
    for domain in inventory.domains:
        for mailbox in domain.mailboxes:
            address = f"{mailbox.local_part}@{domain.name}"
            yield "mailbox", address, mailbox.warming, domain.client, domain.time_zone
    for egress in inventory.egresses:
        yield "egress", egress.id, egress.warming, egress.client, None


def _number(seed: int, text: str) -> int:
    """From 0 to 2^64 - 1, as the controller draws one for each mailbox."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{text}".encode()).digest()[:8], "big")
