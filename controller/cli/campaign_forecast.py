"""What `postfleet campaign forecast` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from postfleet.v1 import forecast_pb2

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


def forecast(session: Session, id_: str, days: int) -> None:
    """Asks the controller; prints a verdict, the days, and what limits it."""
    request = forecast_pb2.ForecastCampaignRequest(id=id_, days=days)
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
    for line in _verdict(told):
        out.print(line, highlight=False, soft_wrap=True)


def _some(days: Any) -> Iterator[Any]:
    yield from days[:_DAYS_SHOWN]
    if len(days) > _DAYS_SHOWN:
        yield days[-1]


def _verdict(told: Any) -> Iterator[str]:
    paused = ", if it is resumed now" if told.state == "paused" else ""
    for step in told.steps:
        name = f"follow-up {step.step}" if step.step else "first message"
        yield f"{name}: {step.messages:,}, the last on {moment(step, 'finishes_at')} UTC{paused}"
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
