"""What `postfleet campaign list|status|recipients|pause|resume|cancel` do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from postfleet.v1 import campaign_pb2

from controller.cli.command import Session
from controller.cli.connection import connected
from controller.cli.output import (
    as_data,
    moment,
    number,
    print_details,
    print_json,
    print_table,
    state,
)

# In the order of a message's life.
_STATES = ("accepted", "scheduled", "dispatched", "queued", "sent", "bounced", "expired",
           "suppressed", "cancelled", "uncertain")  # fmt: skip
_DONE = {"pause": "paused", "resume": "resumed", "cancel": "cancelled"}


def show_all(session: Session, filter_: str, client: str, limit: int) -> None:
    """Prints a list."""
    request = campaign_pb2.ListCampaignsRequest(filter=filter_, client_id=client)
    with connected(session) as connection:
        rows = list(connection.pages("ListCampaigns", request, "campaigns", limit))
    if session.json:
        print_json([as_data(each) for each in rows])
        return
    print_table(
        ("campaign", "client", "state", "#priority", "#an hour", "windows", "changed (UTC)", "by"),
        [
            (each.settings.id, each.settings.client_id, state(each.state),
             number(each.settings.priority),
             number(each.settings.burst_per_hour) if each.settings.burst_per_hour else "",
             ", ".join(each.settings.windows), moment(each, "changed_at"), each.changed_by)
            for each in rows
        ],
        "no campaign was started",
    )  # fmt: skip


def show(session: Session, id_: str) -> None:
    """Prints how one stands."""
    with connected(session) as connection:
        told = connection.ask("GetCampaign", campaign_pb2.GetCampaignRequest(id=id_))
    if session.json:
        print_json(as_data(told))
    else:
        print_details(_details(told))


def show_recipients(
    session: Session, id_: str, state_: str, message_state: str, limit: int
) -> None:
    """Prints a list of one's recipients."""
    request = campaign_pb2.ListRecipientsRequest(id=id_, state=state_, message_state=message_state)
    with connected(session) as connection:
        rows = list(connection.pages("ListRecipients", request, "recipients", limit))
    if session.json:
        print_json([as_data(each) for each in rows])
        return
    print_table(
        ("recipient", "state", "#step", "message", "", "from", "next (UTC)", "why"),
        [
            (each.address, state(each.state), number(each.step), each.message_id,
             state(each.message_state), each.mailbox, moment(each, "next_at"), each.reason)
            for each in rows
        ],
        f"campaign {id_} has no such recipient",
    )  # fmt: skip


def steer(session: Session, id_: str, action: str, reason: str, dry_run: bool) -> None:
    """Pauses, resumes, cancels."""
    request = campaign_pb2.SetCampaignStateRequest(
        id=id_, action=action, reason=reason, dry_run=dry_run
    )
    with connected(session) as connection:
        told = connection.ask("SetCampaignState", request)
    if session.json:
        print_json(as_data(told))
        return
    waiting = told.messages.get("accepted", 0) + told.messages.get("scheduled", 0)
    done = f"{'would be' if dry_run else 'is'} {_DONE[action]}"
    words = {
        "pause": f"{waiting:,} messages are held",
        "resume": f"{waiting:,} messages wait for their turn",
        "cancel": f"{waiting:,} waiting messages end",
    }[action]
    print(f"campaign {id_} {done}: {words}")
    if told.on_nodes and action != "resume":
        may = "and may still go out" if action == "pause" else "and are asked back"
        print(f"{told.on_nodes:,} are on nodes {may}")


def _step(step: Any) -> str:
    name = f"follow-up {step.step}" if step.step else "first message"
    words = f"{step.under_way:>9,} with the {name} under way" if step.under_way else ""
    if not step.waiting:
        return words
    day = f"the first on {moment(step, 'next_at')} UTC"
    waiting = f"{step.waiting:>9,} had the {name}, wait for the next ({day})"
    return "\n".join(filter(None, (words, waiting)))


def _details(told: Any) -> Iterator[tuple[str, Any]]:
    settings = told.settings
    yield "campaign", settings.id
    yield "client", settings.client_id
    yield "state", state(told.state)
    yield "reason", told.reason
    yield "started", f"{moment(told, 'created_at')} UTC by {told.created_by}"
    yield "changed", f"{moment(told, 'changed_at')} UTC by {told.changed_by}"
    yield (
        "windows",
        ", ".join(settings.windows) + (f" ({settings.time_zone})" if settings.windows else ""),
    )
    yield "priority", number(settings.priority)
    yield "an hour", number(settings.burst_per_hour) if settings.burst_per_hour else ""
    yield "pool", ", ".join([*settings.domains, *settings.mailboxes])
    yield "follow-ups", ", ".join(f"{days} days" for days in settings.delays_days)
    yield "recipients", number(told.recipients)
    yield "still open", number(told.open) if settings.delays_days else ""
    if settings.delays_days:
        yield "", "\n".join(_step(each) for each in told.steps)
    yield (
        "messages",
        "\n".join(
            f"{told.messages[each]:>9,} {each}" for each in _STATES if told.messages.get(each)
        ),
    )
    for name in ("stopped", "refused"):
        counts = sorted(getattr(told, name).items(), key=lambda item: (-item[1], item[0]))
        yield name, "\n".join(f"{count:>9,} {reason}" for reason, count in counts)
