"""Counts what was sent against every cap, on its own: a witness, not the planner's ledger.

It is told of each first attempt and of each stop, and knows besides only the inventory and the
scenario. Days, hours, sums and the allowances of warm-ups are reckoned here anew, with none of the
planner's code, so that a mistake there does not hide itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from inventory.schema import Inventory, Limits

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_AFTER = timedelta(minutes=59, seconds=59)
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Violation:
    """More was sent than a cap admits. `bucket`: the local day or the hour of UTC."""

    limit: str
    subject: str
    bucket: str
    sent: int
    cap: int


@dataclass(frozen=True, slots=True)
class WarmingFrom:
    """A warm-up as it stands on the first day: its day of the curve; `provider` '': for all
    mail."""

    scope: str
    subject: str
    provider: str
    day: int


@dataclass(slots=True)
class _Climb:
    """What a warm-up may have reached: one step for each day with mail, never more."""

    curve: tuple[tuple[int, int], ...]
    day: int
    grace: int = 0
    last: date | None = None
    days: int = 0

    def most(self, on: date) -> int:
        """Messages that its curve can admit on this day, as it comes to be counted."""
        if self.last is not None and on > self.last:
            self.days += 1
        self.last = max(on, self.last or on)
        return _on_curve(self.curve, self.day + self.days + self.grace)


class CapCounter:
    """`violations` by limit, subject and bucket; empty where all went as it must."""

    def __init__(
        self,
        inventory: Inventory,
        limits: Limits,
        curves: Mapping[tuple[str, str], tuple[tuple[int, int], ...]],
        warming: Iterable[WarmingFrom],
        bursts: Mapping[str, int],
    ) -> None:
        self._limits = limits
        self._bursts = bursts
        self._per_client = {c.id: c.per_day for c in inventory.clients if c.per_day is not None}
        self._of: dict[str, tuple[str, str, str, str]] = {}
        mixed = set()
        clients = {client.id: client for client in inventory.clients}
        for domain in inventory.domains:
            own = clients[domain.client].time_zone or inventory.fleet.time_zone
            for box in domain.mailboxes:
                zone = domain.time_zone or own
                address = f"{box.local_part}@{domain.name}"
                self._of[address] = (box.egress, domain.name, domain.client, zone)
                if zone != own:
                    mixed.add(box.egress)
        # Where an egress has mailboxes in other zones than its client's, their days and its steps
        # do not change at the same instant.
        self._climbs = {
            _climbing(each): _Climb(
                curves[each.scope, each.provider],
                each.day,
                int(each.scope == "egress" and each.subject in mixed),
            )
            for each in warming
        }
        self._curved = {provider for _, provider in curves if provider}
        self._hour: datetime | None = None
        self._hour_ends: datetime | None = None
        # Mailbox and provider of each message: of the running hour, by day; of days that go on.
        self._seen: dict[date, list[_Key]] = {}
        self._days: dict[date, Counter[_Key]] = {}
        self._of_campaigns: list[str] = []
        self._dates: dict[str, tuple[date, date]] = {}
        self._stops: dict[_Key, datetime] = {}
        self.messages = 0
        self.violations: dict[tuple[str, str, str], Violation] = {}

    @property
    def total(self) -> int:
        """Messages above a cap, or sent in spite of a stop."""
        return sum(each.sent - each.cap for each in self.violations.values())

    def saw(self, mailbox: str, provider: str, campaign: str, at: datetime) -> None:
        """A message was tried for the first time. In the order of hours. `campaign`: client, slash,
        name."""
        hour, ends = self._hour, self._hour_ends
        if hour is None or ends is None or not hour <= at < ends:
            self._close_hour()
            hour = self._hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
            self._hour_ends = hour + _HOUR
        zone = self._of[mailbox][3]
        dates = self._dates.get(zone)
        if dates is None:
            at_zone = ZoneInfo(zone)
            first = hour.astimezone(at_zone).date()
            last = (hour + _AFTER).astimezone(at_zone).date()
            dates = self._dates[zone] = (first, last)
        first, last = dates
        day = first if first == last else at.astimezone(ZoneInfo(zone)).date()
        seen = self._seen.get(day)
        if seen is None:
            seen = self._seen[day] = []
        seen.append((mailbox, provider))
        self._of_campaigns.append(campaign)
        if self._stops:
            self._check_stops(mailbox, provider, at)

    def stopped(self, scope: str, subject: str, until: datetime) -> None:
        """From now on nothing of this may be tried before `until`, whatever was said before."""
        self._stops[scope, subject] = until

    def close(self) -> None:
        """Nothing more comes: compares what is left to compare."""
        self._close_hour()
        self._close_days(date.max)

    def _close_hour(self) -> None:
        if self._hour is None:
            return
        pairs: Counter[_Key] = Counter()
        for day, seen in self._seen.items():
            self._days.setdefault(day, Counter()).update(seen)
            pairs.update(seen)
            self.messages += len(seen)
        self._compare_hour(pairs)
        # It may still be yesterday somewhere.
        self._close_days(min(self._seen) - _DAY)
        self._seen.clear()
        self._of_campaigns.clear()
        self._dates.clear()
        self._hour = None

    def _close_days(self, before: date) -> None:
        for day in sorted(day for day in self._days if day < before):
            self._compare_day(day)
            del self._days[day]

    def _compare_hour(self, pairs: Counter[_Key]) -> None:
        assert self._hour is not None
        bucket, limits = self._hour.isoformat(), self._limits
        sums: Counter[_Key] = Counter()
        for (mailbox, provider), count in pairs.items():
            egress = self._of[mailbox][0]
            sums["mailbox", mailbox] += count
            sums["egress", egress] += count
            sums["provider egress", f"{provider}/{egress}"] += count
        for campaign, count in Counter(self._of_campaigns).items():
            sums["campaign", campaign] = count
        caps = {
            "mailbox": limits.mailbox_per_hour,
            "egress": limits.egress_per_hour,
            "provider egress": limits.provider_egress_per_hour,
        }
        for (what, subject), sent in sums.items():
            cap = self._bursts.get(subject) if what == "campaign" else caps[what]
            if cap is not None and sent > cap:
                self._note(f"{what} hour", subject, bucket, sent, cap)

    def _compare_day(self, day: date) -> None:
        limits = self._limits
        caps = {
            "mailbox": limits.mailbox_per_day,
            "egress": limits.egress_per_day,
            "domain": limits.domain_per_day,
            "client": limits.client_per_day,
            "domain provider": limits.domain_provider_per_day,
        }
        for (what, subject), sent in self._sums_of_day(self._days[day]).items():
            cap = caps.get(what)
            if what == "client":
                cap = self._per_client.get(subject, cap)
            climb = self._climbs.get((what, subject))
            if climb is not None:
                most = climb.most(day)
                cap = most if cap is None else min(cap, most)
            if cap is not None and sent > cap:
                self._note(f"{what} day", subject, day.isoformat(), sent, cap)

    def _sums_of_day(self, pairs: Counter[_Key]) -> Counter[_Key]:
        sums: Counter[_Key] = Counter()
        for (mailbox, provider), count in pairs.items():
            egress, domain, client, _ = self._of[mailbox]
            sums["mailbox", mailbox] += count
            sums["egress", egress] += count
            sums["domain", domain] += count
            sums["client", client] += count
            sums["domain provider", f"{domain}/{provider}"] += count
            if provider in self._curved:
                sums["mailbox provider", f"{mailbox}/{provider}"] += count
                sums["egress provider", f"{egress}/{provider}"] += count
        return sums

    def _check_stops(self, mailbox: str, provider: str, at: datetime) -> None:
        egress, domain, _, _ = self._of[mailbox]
        for key in (
            ("provider-egress", f"{provider}/{egress}"),
            ("provider-domain", f"{provider}/{domain}"),
            ("egress", egress),
            ("domain", domain),
            ("mailbox", mailbox),
        ):
            until = self._stops.get(key)
            if until is None:
                continue
            if at < until:
                scope, subject = key
                before = self.violations.get((f"stop of {scope}", subject, until.isoformat()))
                sent = before.sent + 1 if before else 1
                self._note(f"stop of {scope}", subject, until.isoformat(), sent, 0)
            else:
                del self._stops[key]

    def _note(self, limit: str, subject: str, bucket: str, sent: int, cap: int) -> None:
        self.violations[limit, subject, bucket] = Violation(limit, subject, bucket, sent, cap)


def _climbing(each: WarmingFrom) -> _Key:
    if each.provider:
        return f"{each.scope} provider", f"{each.subject}/{each.provider}"
    return each.scope, each.subject


def _on_curve(curve: tuple[tuple[int, int], ...], day: int) -> int:
    """Straight lines between the points; behind the last one a tenth more a day, one at least."""
    for (before, low), (after, high) in pairwise(curve):
        if before <= day <= after:
            return low + int((high - low) * (day - before) / (after - before))
    last, most = curve[-1]
    for _ in range(min(1000, day - last)):
        most = max(most + 1, int(most * 11 / 10))
    return most
