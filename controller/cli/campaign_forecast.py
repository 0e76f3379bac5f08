"""What `postfleet campaign forecast` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from postfleet.v1 import forecast_pb2

from controller.campaigns.prepare import Prepared
from controller.cli.campaign_check import loaded_or_failure, refuse_bad, run_check
from controller.cli.campaign_start import settings_of
from controller.cli.command import Session
from controller.cli.connection import asking
from controller.cli.output import (
    as_data,
    console,
    moment,
    number,
    print_json,
    print_table,
)

# Of a long campaign the first days and the last one are shown.
_DAYS_SHOWN = 14
# The service takes 50,000; the rest is of any domain.
_MOST_GROUPS = 20_000
_THERE = "campaign {} is there already: foreseen as this file has it, for the recipients it has"
_IF = {"paused": ", if it is resumed now", "draft": ", if it is started now"}


def forecast(session: Session, campaign: str, days: int) -> None:
    """Asks the controller; prints a verdict, the days, and what limits it."""
    request = forecast_pb2.ForecastCampaignRequest(days=days)
    if _is_file(campaign):
        request.draft.CopyFrom(_draft(Path(campaign)))
    else:
        request.id = campaign
    told = asking(session, "ForecastCampaign", request)
    if session.json:
        print_json(as_data(told))
        return
    out = console()
    if told.days:
        print_table(
            (f"day ({told.time_zone})", "#first messages", "#follow-ups"),
            [(each.date, number(each.first_messages), number(each.follow_ups))
             for each in _some(told.days)],
            "",
        )  # fmt: skip
        out.print()
    if told.limits:
        print_table(
            ("#hours", "what keeps it", "what would change it"),
            [(f"{each.percent:.0f} %", each.what, each.change) for each in told.limits],
            "",
        )
        out.print()
    if request.HasField("draft") and told.state != "draft":
        out.print(_THERE.format(told.id), highlight=False, soft_wrap=True)
    for line in _verdict(told):
        out.print(line, highlight=False, soft_wrap=True)


def _is_file(campaign: str) -> bool:
    """No campaign's name has a dot or a slash."""
    return "." in campaign or "/" in campaign


def _draft(file: Path) -> forecast_pb2.CampaignDraft:
    """What the file says, checked. Raises Failure."""
    loaded = loaded_or_failure(file)
    groups: Counter[tuple[str, str]] = Counter()

    def keep(each: Prepared) -> None:
        group = each.zone, each.address.rpartition("@")[2].lower()
        if group not in groups and len(groups) >= _MOST_GROUPS:
            group = each.zone, ""
        groups[group] += 1

    refuse_bad(loaded, run_check(loaded, keep))
    draft = forecast_pb2.CampaignDraft(settings=settings_of(loaded))
    for (zone, domain), count in sorted(groups.items()):
        draft.recipients.add(time_zone=zone, domain=domain, count=count)
    return draft


def _some(days: Any) -> Iterator[Any]:
    yield from days[:_DAYS_SHOWN]
    if len(days) > _DAYS_SHOWN:
        yield days[-1]


def _verdict(told: Any) -> Iterator[str]:
    paused = _IF.get(told.state, "")
    for step in told.steps:
        name = f"follow-up {step.step}" if step.step else "first message"
        yield f"{name}: {step.messages:,}, the last on {moment(step, 'finishes_at')} UTC{paused}"
    if told.refused:
        yield (
            f"{told.refused:,} recipients will be refused: the windows never meet those of the "
            "mailboxes where they are"
        )
    if told.provider_unknown:
        yield (
            f"{told.provider_unknown:,} recipients have a provider that was not looked up yet; no "
            "provider's limit is counted for them"
        )
    if told.under_way:
        yield f"{told.under_way:,} messages have a time or are on nodes already"
    if not told.left and not told.steps:
        yield f"nothing more of campaign {told.id} is to go"
        return
    yield f"{told.mailboxes_able:,} of the {told.mailboxes:,} mailboxes of its pool send"
    if told.left:
        why = f": {told.limits[0].what}" if told.limits else ""
        yield (
            f"campaign {told.id} will not be through by {moment(told, 'until')} UTC{paused}: "
            f"{told.left:,} messages will not have gone{why}"
        )
        return
    yield f"campaign {told.id} will be through on {moment(told, 'finishes_at')} UTC{paused}"
