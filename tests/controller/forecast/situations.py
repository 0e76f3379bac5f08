"""Situations of a client acme with one campaign, november, made of few words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from controller.forecast.run import Forecast, foresee
from controller.forecast.situation import Heap, Plan, Sending, Situation, Warming
from controller.planner.boxes import Box
from controller.planner.lanes import Lane
from controller.planner.limits import UNLIMITED, Caps, Limit, Sender
from controller.planner.settings import settings_of, week_of
from inventory.schema import Limits

MONDAY = datetime(2026, 11, 2, 9, tzinfo=UTC)
WORK = ("mon-fri 09:00-17:00",)
_PLENTY = {
    "mailbox_per_hour": 1000, "mailbox_per_day": 1000, "egress_per_hour": 10_000,
    "egress_per_day": 10_000, "domain_per_day": 10_000, "domain_provider_per_day": 10_000,
    "provider_egress_per_hour": 10_000,
}  # fmt: skip


def boxes(count: int, windows: tuple[str, ...] = WORK, **more: Any) -> list[Sending]:
    """Mailboxes m0, m1, … through egresses e0 and e1 in turn, on one domain."""
    week = week_of("UTC", windows)
    return [
        Sending(
            Box(Sender(f"m{n}@a.test", f"e{n % 2}", "a.test", "acme"), "", week, n, **more), MONDAY
        )
        for n in range(count)
    ]


def situation(
    mailboxes: Sequence[Sending],
    messages: int,
    *,
    delays: Sequence[int] = (),
    windows: tuple[str, ...] = (),
    burst: int = UNLIMITED,
    pool: Sequence[str] | None = None,
    warming: Sequence[Warming] = (),
    others: Sequence[Heap] = (),
    client_per_day: int | None = None,
    **limits: int,
) -> Situation:
    """`messages` of november wait, for any mailbox; `limits`: of the fleet, plenty by default."""
    week = week_of("UTC", windows) if windows else None
    first = Lane(1, "acme/november", 0, False, week, [] if pool else None, pool or (), burst)
    follow = Lane(2, "acme/november", 0, True, week, None, (), burst)
    given = {"limits": _PLENTY | limits}
    special = {(Limit.CLIENT_DAY, "acme"): client_per_day} if client_per_day else {}
    if burst < UNLIMITED:
        special[Limit.CAMPAIGN_HOUR, "acme/november"] = burst
    settings = settings_of(given)
    heap = Heap("november", 0, "UTC", "google", None, MONDAY, messages)
    return Situation(
        MONDAY, "november", "acme", ZoneInfo("UTC"), settings,
        Caps.of(Limits(**given["limits"]), special), {}, mailboxes, warming,
        {"november": Plan(delays, {"UTC": first}, {"UTC": follow})},
        [*others, *([heap] if messages else [])],
    )  # fmt: skip


def days_of(forecast: Forecast, step: int = 0) -> list[tuple[date, int]]:
    """(day, messages) of one step, in order."""
    return sorted((day, count) for (day, each), count in forecast.days.items() if each == step)


def on(day: int) -> date:
    """So many days after MONDAY."""
    return MONDAY.date() + timedelta(days=day)


def forecast(of: Situation, most_days: int = 120) -> Forecast:
    return foresee(of, most_days)
