"""How mailboxes and egresses warm up: curves, and who begins. What an operator may write.

curve_points("1:5 14:10")     5 messages on the first day, 10 on the 14th, evenly between
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PlainValidator, StringConstraints, model_validator

from inventory.fields import Allowed, Count, Flag, Strict

_FORM = r"[1-9]\d{0,2}:[1-9]\d{0,5}"


def curve_points(text: str) -> tuple[tuple[int, int], ...]:
    """(day, messages) in order. Raises ValueError where it does not begin on day 1 or falls."""
    points = [
        (int(day), int(messages)) for day, messages in (p.split(":") for p in text.split(" "))
    ]
    days, messages = [day for day, _ in points], [count for _, count in points]
    if days[0] != 1 or days != sorted(set(days)) or messages != sorted(messages):
        raise ValueError("must begin with day 1, name each day once, in order, and never fall")
    return tuple(points)


def _rising(text: str) -> str:
    curve_points(text)
    return text


def _start(value: object) -> str:
    """'' for false, true, or the day in ISO 8601."""
    if isinstance(value, bool):
        return "true" if value else ""
    if isinstance(value, str):
        if value in ("", "true"):
            return value
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return date.fromisoformat(value).isoformat()
    raise ValueError(_START)


_START = "must be true, false or the day since when, such as 2026-11-01"

Curve = Annotated[
    str,
    StringConstraints(pattern=rf"^{_FORM}( {_FORM})*$", max_length=200),
    AfterValidator(_rising),
    Allowed("DAY:MESSAGES with spaces between, such as 1:5 14:10 35:50"),
]
Warming = Annotated[str, PlainValidator(_start), Allowed(_START.removeprefix("must be "))]


Provider = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$"),
    Allowed("the name of a provider, such as google (docs/reference/shaping.md has all)"),
]


class ProviderCurves(Strict):
    """What a warming mailbox or egress may send to one provider on each day of a warm-up toward it;
    the days are those on which this provider took mail. It binds besides the curves for all mail,
    and is over by itself, at the same limit."""

    provider: Provider
    """Whose receivers."""
    mailbox: Curve | None = None
    """Messages of a warming mailbox to this provider; none: as many as to all together."""
    egress: Curve | None = None
    """Messages through a warming egress to this provider."""

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if self.mailbox is None and self.egress is None:
            raise ValueError("must have a curve: mailbox, egress or both")
        return self


def _once(each: tuple[ProviderCurves, ...]) -> tuple[ProviderCurves, ...]:
    names = [one.provider for one in each]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"must name each provider once; more than once there: {', '.join(twice)}")
    return each


class WarmUp(Strict):
    """What a warming mailbox or egress may send on each day of its warm-up; one more limit of the
    day. A day counts only when mail was really sent, and bad signals freeze it or step back. After
    the last day it goes on growing by a tenth a day up to the limit, and is then active.

    On its first days it sends only mail that the controller writes between mailboxes of the fleet;
    mail of its client goes through others, or waits."""

    mailbox: Curve = "1:5 14:10 17:20 28:35 35:50"
    """Messages of a warming mailbox."""
    egress: Curve = "1:50 14:100 17:200 28:350 35:500"
    """Messages through a warming egress."""
    providers: Annotated[tuple[ProviderCurves, ...], AfterValidator(_once)] = ()
    """Providers that trust more slowly than others."""
    internal_days: Annotated[Count, Field(ge=0, le=999)] = 14
    """Up to this day of the curve nothing else is sent than mail that the controller writes between
    the fleet's own mailboxes; 0: clients' mail from the first day on."""
    mixed_days: Annotated[Count, Field(ge=0, le=999)] = 28
    """From then up to this day a part of the allowance is such mail, less every day; where
    internal_days is as many or more, there are no such days."""
    across_clients: Flag = False
    """Whether it is written between mailboxes of different clients too."""

    def providers_with(self, scope: str) -> list[str]:
        """Providers with a curve of their own for `mailbox` or `egress`."""
        return [each.provider for each in self.providers if getattr(each, scope) is not None]
