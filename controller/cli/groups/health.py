"""postfleet health: how mailboxes, egresses and domains are judged."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.command import Session, add
from controller.cli.completion import complete_domain, complete_egress, complete_mailbox
from controller.cli.options import Filter, Limit

group = typer.Typer(
    help="How mailboxes, egresses and domains are judged, and on what evidence.",
    no_args_is_help=True,
)

InBand = Annotated[
    str,
    typer.Option(
        "--band", metavar="BAND", help="Only good, watch, slowed, paused or quarantined ones"
    ),
]


@add(
    group,
    "mailbox",
    examples=(
        "postfleet health mailbox --band paused",
        "postfleet health mailbox ada.arendt@harbor-mail.test",
    ),
)
def mailbox(
    session: Session,
    mailbox: Annotated[
        str,
        typer.Argument(
            metavar="[ADDRESS]",
            help="One of them [all, worst first]",
            autocompletion=complete_mailbox,
        ),
    ] = "",
    band: InBand = "",
    filter: Filter = "",
    limit: Limit = 50,
) -> None:
    """Show how mailboxes are judged; of one: score with its parts, rates, counts by provider."""
    _show(session, "mailbox", mailbox, band, filter, limit)


@add(group, "egress", examples=("postfleet health egress", "postfleet health egress px001"))
def egress(
    session: Session,
    egress: Annotated[
        str,
        typer.Argument(
            metavar="[EGRESS]",
            help="One of them [all, worst first]",
            autocompletion=complete_egress,
        ),
    ] = "",
    band: InBand = "",
    filter: Filter = "",
    limit: Limit = 50,
) -> None:
    """Show how egresses are judged, and which of their mailboxes are stopped."""
    _show(session, "egress", egress, band, filter, limit)


@add(
    group,
    "domain",
    examples=("postfleet health domain", "postfleet health domain harbor-mail.test"),
)
def domain(
    session: Session,
    domain: Annotated[
        str,
        typer.Argument(
            metavar="[DOMAIN]",
            help="One of them [all, worst first]",
            autocompletion=complete_domain,
        ),
    ] = "",
    band: InBand = "",
    filter: Filter = "",
    limit: Limit = 50,
) -> None:
    """Show how domains are judged, and which of their egresses are stopped."""
    _show(session, "domain", domain, band, filter, limit)


def _show(session: Session, scope: str, subject: str, band: str, filter: str, limit: int) -> None:
    from controller.cli.healths import show_all, show_one

    if subject:
        show_one(session, scope, subject)
    else:
        show_all(session, scope, band, filter, limit)
