"""postfleet campaign: many messages from one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.command import Session, add
from controller.cli.options import DryRun, Filter, Limit, OfClient, Reason

group = typer.Typer(
    help="Campaigns: many messages from one file, with windows, limits and follow-ups.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Name of a campaign")]
NameOrFile = Annotated[
    str, typer.Argument(metavar="CAMPAIGN|FILE", help="Name of a campaign, or a campaign file")
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A campaign file (YAML)")]


@add(
    group,
    "check",
    connects=False,
    examples=(
        "postfleet campaign check november.yaml",
        "postfleet campaign check november.yaml --sample 2",
        "postfleet campaign check november.yaml --json | jq .bad_rows",
    ),
)
def check(
    session: Session,
    file: File,
    sample: Annotated[
        int,
        typer.Option("--sample", metavar="N", min=0, help="Print all messages to the first N"),
    ] = 0,
) -> None:
    """Render every message to every recipient and name all that is wrong; sends nothing.

    Wants no controller. Ends with 1 where the file has a mistake (file, line, path, value) or a
    recipient has (line, column, reason): `campaign start` takes neither.
    """
    from controller.cli.campaign_check import check as run

    run(session, file, sample)


@add(
    group,
    "start",
    examples=(
        "postfleet campaign start november.yaml --dry-run",
        "postfleet campaign start november.yaml",
    ),
)
def start(session: Session, file: File, dry_run: DryRun = False) -> None:
    """Check a campaign, then hand all of it over: it sends as its windows and limits allow.

    Nothing is handed over before every message was rendered. Starting it again changes nothing;
    after Ctrl-C or an error the same command does the rest. Priority, burst, windows and pool may
    change from one start to the next; the text may not.
    """
    from controller.cli.campaign_start import start as run

    run(session, file, dry_run)


@add(group, "list", examples=("postfleet campaign list --client harbor",))
def list_(session: Session, filter: Filter = "", client: OfClient = "", limit: Limit = 100) -> None:
    """List campaigns by name."""
    from controller.cli.campaigns import show_all

    show_all(session, filter, client, limit)


@add(group, "status", examples=("postfleet campaign status november-2026",))
def status(session: Session, campaign: Name) -> None:
    """Say how a campaign stands: its messages by state, who was refused, who heard enough."""
    from controller.cli.campaigns import show

    show(session, campaign)


@add(
    group,
    "recipients",
    examples=(
        "postfleet campaign recipients november-2026 --state refused",
        "postfleet campaign recipients november-2026 --message-state bounced --limit 0 --json",
    ),
)
def recipients(
    session: Session,
    campaign: Name,
    state: Annotated[
        str,
        typer.Option("--state", metavar="STATE", help="Only open, done, stopped or refused ones"),
    ] = "",
    message_state: Annotated[
        str,
        typer.Option(
            "--message-state", metavar="STATE", help="Only whose last message is so, as bounced"
        ),
    ] = "",
    limit: Limit = 100,
) -> None:
    """List a campaign's recipients: how far each is, or why nothing more goes there."""
    from controller.cli.campaigns import show_recipients

    show_recipients(session, campaign, state, message_state, limit)


@add(
    group,
    "forecast",
    examples=(
        "postfleet campaign forecast november-2026",
        "postfleet campaign forecast november-2026 --json | jq -r .finishes_at",
        "postfleet campaign forecast december.yaml",
    ),
)
def forecast(
    session: Session,
    campaign: NameOrFile,
    days: Annotated[
        int,
        typer.Option("--days", metavar="N", min=1, max=366, help="How many days to look ahead"),
    ] = 120,
) -> None:
    """Say when a campaign will be through under today's limits, and what limits it.

    One that was not started yet, too: given its file, which is checked as `campaign start` does.
    The planner's own choice goes on from the present, hour by hour: all that waits of the client,
    its limits, windows, warm-ups and follow-ups. Every message is taken to arrive and nobody to
    answer; no other mail comes. Changes nothing.
    """
    from controller.cli.campaign_forecast import forecast as run

    run(session, campaign, days)


@add(
    group,
    "pause",
    examples=("postfleet campaign pause november-2026 --reason 'the link is broken'",),
)
def pause(session: Session, campaign: Name, reason: Reason = "", dry_run: DryRun = False) -> None:
    """Hold what waits. What is on a node already (minutes of mail) may still go out."""
    from controller.cli.campaigns import steer

    steer(session, campaign, "pause", reason, dry_run)


@add(group, "resume", examples=("postfleet campaign resume november-2026",))
def resume(session: Session, campaign: Name, reason: Reason = "", dry_run: DryRun = False) -> None:
    """Let a paused campaign go on."""
    from controller.cli.campaigns import steer

    steer(session, campaign, "resume", reason, dry_run)


@add(
    group,
    "cancel",
    examples=("postfleet campaign cancel november-2026 --reason 'wrong list'",),
)
def cancel(session: Session, campaign: Name, reason: Reason = "", dry_run: DryRun = False) -> None:
    """End a campaign for good: what waits ends, what nodes have is asked back, nothing follows."""
    from controller.cli.campaigns import steer

    steer(session, campaign, "cancel", reason, dry_run)
