"""What the planner takes from the fleet's settings, as the inventory gave them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from controller.planner.slots import Pace
from controller.planner.warm_up import Curve
from controller.planner.windows import Week
from inventory.health import Health
from inventory.pacing import Pacing, week_window
from inventory.schema import Fleet, Limits
from inventory.warm_up import WarmUp, curve_points


@dataclass(frozen=True, slots=True)
class Settings:
    """`horizon`: so long before its time a slot is filled. `curves`: of warm-ups, by scope;
    `toward`: those for mail to one provider, by scope and provider. `warm_up`: what else the
    inventory says of them."""

    limits: Limits
    pace: Pace
    horizon: timedelta
    curves: Mapping[str, Curve]
    warm_up: WarmUp
    slowed_to_percent: int = Health().slowed_to_percent
    toward: Mapping[tuple[str, str], Curve] = field(default_factory=dict)

    def curve(self, scope: str, provider: str = "") -> Curve:
        """Of a warm-up; '': for all mail. Raises KeyError where the inventory has none."""
        return self.toward[scope, provider] if provider else self.curves[scope]

    @property
    def warm_ups(self) -> list[tuple[str, str]]:
        """Scope and provider of every curve."""
        return [*((scope, "") for scope in self.curves), *self.toward]

    def curves_as_columns(self) -> dict[str, list[str]]:
        """The same as arrays that run in parallel, for queries."""
        return {
            "scopes": [scope for scope, _ in self.warm_ups],
            "providers": [provider for _, provider in self.warm_ups],
        }

    @property
    def curved(self) -> frozenset[str]:
        """Providers with curves of their own."""
        return frozenset(provider for _, provider in self.toward)

    def day_limit(self, scope: str) -> int:
        """Messages a day of an active mailbox or egress."""
        limits = self.limits
        return limits.mailbox_per_day if scope == "mailbox" else limits.egress_per_day


def settings_of(value: Mapping[str, Any] | None) -> Settings:
    """From the value of table setting; what is missing is as in an inventory that leaves it out."""
    given = value or {}
    pacing = Pacing.model_validate(given.get("pacing", {}))
    warm_up = WarmUp.model_validate(given.get("warm_up", {}))
    horizon_s = given.get("dispatch_horizon_s", Fleet.model_fields["dispatch_horizon_s"].default)
    return Settings(
        Limits.model_validate(given.get("limits", {})),
        Pace(pacing.spread, timedelta(seconds=pacing.min_gap_s), pacing.jitter_percent / 100),
        timedelta(seconds=horizon_s),
        {"mailbox": curve_points(warm_up.mailbox), "egress": curve_points(warm_up.egress)},
        warm_up,
        Health.model_validate(given.get("health", {})).slowed_to_percent,
        dict(_toward(warm_up)),
    )


def _toward(warm_up: WarmUp) -> Iterator[tuple[tuple[str, str], Curve]]:
    for each in warm_up.providers:
        for scope, text in (("mailbox", each.mailbox), ("egress", each.egress)):
            if text is not None:
                yield (scope, each.provider), curve_points(text)


@lru_cache(maxsize=4096)
def week_of(zone: str, windows: tuple[str, ...]) -> Week:
    """A mailbox's clock and windows, from how they are stored."""
    return Week(ZoneInfo(zone), tuple(week_window(window) for window in windows))
