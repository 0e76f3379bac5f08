"""postfleet why: what applies to a mailbox, message, egress or campaign, and what stops it."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.command import Session, add
from controller.cli.completion import complete_mailbox
from controller.cli.options import EgressId

group = typer.Typer(help="Why something waits.", no_args_is_help=True)


@add(group, "mailbox", examples=("postfleet why mailbox ada.arendt@harbor-mail.test",))
def mailbox(
    session: Session,
    mailbox: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS", help="Address of a mailbox", autocompletion=complete_mailbox
        ),
    ],
) -> None:
    """Say whether a mailbox may send now: every limit and state, and what would change it.

    `●` marks what stops it. The times are UTC: since when, and when it ends by itself.
    """
    _explain(session, "mailbox", mailbox)


@add(group, "message", examples=("postfleet why message 01KB3XG3Q4GZ5B8Y9N1D7R2M0A",))
def message(
    session: Session,
    message: Annotated[str, typer.Argument(metavar="ID", help="Id of a message")],
) -> None:
    """Say what a message waits for: its time, its queue, and all that applies to its mailbox."""
    _explain(session, "message", message)


@add(group, "egress", examples=("postfleet why egress px001",))
def egress(session: Session, egress: EgressId) -> None:
    """Say whether an egress may send now: suspensions, its node, and who cannot reach its proxy."""
    _explain(session, "egress", egress)


@add(group, "campaign", examples=("postfleet why campaign november-2026",))
def campaign(
    session: Session,
    campaign: Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Name of a campaign")],
) -> None:
    """Say why a campaign's mail waits: windows, burst, what keeps the mailboxes of its pool."""
    _explain(session, "campaign", campaign)


def _explain(session: Session, kind: str, id_: str) -> None:
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.output import as_data, console, moment, print_json, print_table

    with connected(session) as connection:
        reply = connection.ask("Why", fleet_pb2.WhyRequest(kind=kind, id=id_))
    if session.json:
        print_json(as_data(reply))
        return
    print_table(
        ("", "what", "value", "since", "until", "evidence", "what changes it"),
        [
            ("●" if each.binds else "", each.name, each.value, moment(each, "since"),
             moment(each, "until"), each.evidence, each.change)
            for each in reply.facts
        ],
        "nothing is known of it",
    )  # fmt: skip
    console().print(f"\n{reply.verdict}")
