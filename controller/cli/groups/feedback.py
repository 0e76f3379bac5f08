"""postfleet feedback: what came back for messages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.command import Session, add
from controller.cli.options import DryRun, Limit, OfClient

group = typer.Typer(
    help="What came back for messages: replies, late bounces, unsubscribes, complaints.",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="CSV or JSONL; - for standard input")]
MessageIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="MESSAGE", help="Only of these messages, by id [all]"),
]
OfKind = Annotated[
    str, typer.Option("--kind", metavar="KIND", help="Only reply, bounce, unsubscribe or complaint")
]


@add(
    group,
    "import",
    examples=(
        "postfleet feedback import complaints.csv --dry-run",
        'echo \'{"kind": "reply", "message": "06fm1qk1u0a0a0a0a0a0a0a0a4"}\' '
        "| postfleet feedback import -",
    ),
)
def import_(session: Session, file: File, dry_run: DryRun = False) -> None:
    """Tell what came back: columns (or fields) kind, message, recipient, mailbox, at, evidence.

    A row names its message by id, by Message-ID or envelope sender, or by recipient and mailbox:
    then it is the last one sent. All rows are checked first; with a bad one nothing is taken, and
    all of them are named. Importing a file again changes nothing. An unsubscribe and a complaint
    suppress the recipient for the client; so does a bounce whose evidence is a receiver's word that
    there is no such address.
    """
    from controller.cli.feedbacks import import_rows

    import_rows(session, file, dry_run)


@add(
    group,
    "list",
    examples=("postfleet feedback list --client harbor --kind complaint",
              "postfleet feedback list 06fm1qk1u0a0a0a0a0a0a0a0a4 --json"),
)  # fmt: skip
def list_(
    session: Session,
    messages: MessageIds = None,
    client: OfClient = "",
    kind: OfKind = "",
    limit: Limit = 100,
) -> None:
    """Show what came back, by message."""
    from postfleet.v1 import feedback_pb2

    from controller.cli.feedbacks import show_rows

    request = feedback_pb2.ListFeedbackRequest(
        client_id=client, kind=kind, message_ids=messages or []
    )
    show_rows(session, request, limit)
