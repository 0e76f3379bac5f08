"""A campaign's settings as they travel and as they are stored. Pure.

The caller checked the file; what comes over the wire is checked again here, by the same types.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from postfleet.v1 import campaign_pb2
from pydantic import TypeAdapter, ValidationError

from controller.campaigns.schema import MOST_FOLLOW_UPS, MailboxAddress
from controller.fleet.errors import BadRequestError
from inventory.fields import HostName, Id
from inventory.pacing import TimeZone, Window

_TYPES: dict[str, TypeAdapter[Any]] = {
    "id": TypeAdapter(Id),
    "client_id": TypeAdapter(Id),
    "windows": TypeAdapter(tuple[Window, ...]),
    "time_zone": TypeAdapter(TimeZone),
    "domains": TypeAdapter(tuple[HostName, ...]),
    "mailboxes": TypeAdapter(tuple[MailboxAddress, ...]),
}
# What a campaign keeps once it began: messages were made of it.
FIXED = ("client_id", "time_zone", "delays_days", "on_uncertain", "text_sha256")


@dataclass(frozen=True, slots=True)
class Settings:
    """Names are those of table campaign. `domains` None: no pool, all of the client's mailboxes."""

    id: str
    client_id: str
    priority: int
    burst_per_hour: int | None
    windows: list[str]
    time_zone: str
    domains: list[str] | None
    mailboxes: list[str] | None
    delays_days: list[int]
    on_uncertain: str
    text_sha256: bytes

    def parameters(self) -> dict[str, Any]:
        """For queries."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def settings_of(message: campaign_pb2.CampaignSettings) -> Settings:
    """What was sent. Raises BadRequestError with all that is wrong."""
    pool = message.domains or message.mailboxes
    settings = Settings(
        message.id,
        message.client_id,
        message.priority,
        message.burst_per_hour or None,
        list(message.windows),
        message.time_zone or "UTC",
        sorted(message.domains) if pool else None,
        sorted(message.mailboxes) if pool else None,
        list(message.delays_days),
        message.on_uncertain,
        message.text_sha256,
    )
    wrong = list(_wrong(settings))
    if wrong:
        raise BadRequestError("; ".join(wrong))
    return settings


def _wrong(settings: Settings) -> Iterator[str]:
    for name, kind in _TYPES.items():
        value = getattr(settings, name)
        try:
            kind.validate_python(tuple(value) if isinstance(value, list) else value)
        except ValidationError as error:
            if value is not None:
                yield f"{name}: {error.errors(include_url=False)[0]['msg']}"
    if settings.priority > 100:
        yield f"priority: {settings.priority}; 0 to 100"
    if settings.burst_per_hour is not None and settings.burst_per_hour > 1_000_000:
        yield f"burst_per_hour: {settings.burst_per_hour:,}; 1 to 1,000,000"
    if len(settings.delays_days) > MOST_FOLLOW_UPS:
        yield f"delays_days: {len(settings.delays_days)}; at most {MOST_FOLLOW_UPS}"
    if not all(1 <= each <= 365 for each in settings.delays_days):
        yield "delays_days: 1 to 365 each"
    if settings.on_uncertain not in ("stop", "resend"):
        yield f"on_uncertain: {settings.on_uncertain!r}; stop or resend"
    if len(settings.text_sha256) != 32:
        yield "text_sha256: 32 octets"


def stored(row: dict[str, Any]) -> Settings:
    """From a row of table campaign."""
    values = {each.name: row[each.name] for each in fields(Settings)}
    return Settings(**values | {"text_sha256": bytes(row["text_sha256"])})


def as_message(settings: Settings) -> campaign_pb2.CampaignSettings:
    """As it travels."""
    values = settings.parameters()
    values["burst_per_hour"] = settings.burst_per_hour or 0
    return campaign_pb2.CampaignSettings(**values)


def changes(before: Settings, after: Settings) -> list[str]:
    """What differs, in words, of what may change."""
    return [
        f"{each.name}: {_shown(getattr(before, each.name))} -> {_shown(getattr(after, each.name))}"
        for each in fields(Settings)
        if each.name not in FIXED and getattr(before, each.name) != getattr(after, each.name)
    ]


def fixed_differences(before: Settings, after: Settings) -> list[str]:
    """What differs of what may not change."""
    return [each for each in FIXED if getattr(before, each) != getattr(after, each)]


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
