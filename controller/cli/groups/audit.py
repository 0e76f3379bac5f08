"""postfleet audit: who did what, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.command import Session, add
from controller.cli.options import Limit

group = typer.Typer(help="Who did what, when and why.", no_args_is_help=True)


@add(
    group,
    "list",
    examples=(
        "postfleet audit list",
        "postfleet audit list --subject egress/px001",
        "postfleet audit list --subject n3 --limit 0",
    ),
)
def list_(
    session: Session,
    subject: Annotated[
        str,
        typer.Option(
            "--subject", metavar="SUBJECT", help="Only about this: KIND/ID, or an id of any kind"
        ),
    ] = "",
    limit: Limit = 50,
) -> None:
    """List what people and the controller did, the newest first."""
    import json

    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.output import as_data, moment, print_json, print_table

    request = fleet_pb2.ListAuditRequest(subject=subject)
    with connected(session) as connection:
        entries = list(connection.pages("ListAudit", request, "entries", limit))
    if session.json:
        rows = [as_data(each) for each in entries]
        print_json([row | {"evidence": json.loads(row["evidence"] or "{}")} for row in rows])
        return
    print_table(
        ("time (utc)", "actor", "action", "subject", "reason", "evidence"),
        [
            (moment(each, "at"), each.actor, each.action, each.subject, each.reason,
             each.evidence if each.evidence != "{}" else "")
            for each in entries
        ],
        "nothing is on record",
    )  # fmt: skip
