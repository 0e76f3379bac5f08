"""postfleet suppression: recipients we no longer write to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.command import Session, add
from controller.cli.completion import complete_client
from controller.cli.options import DryRun, Filter, Limit, Reason

group = typer.Typer(help="Recipients we no longer write to.", no_args_is_help=True)

Recipients = Annotated[
    list[str], typer.Argument(metavar="RECIPIENT", help="Addresses, or @domain for all of it")
]
ForClient = Annotated[
    str,
    typer.Option(
        "--client",
        metavar="ID",
        help="For this client only [for every client]",
        autocompletion=complete_client,
    ),
]
OfClient = Annotated[
    str,
    typer.Option(
        "--client",
        metavar="ID",
        help="Only this client's; '' for those that hold for every client [all]",
        autocompletion=complete_client,
    ),
]
WithReason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Only with exactly this reason")
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="CSV; - for standard input or output")]


@add(
    group,
    "add",
    examples=(
        "postfleet suppression add reader@example.org --client harbor --reason unsubscribe",
        "postfleet suppression add @example.net --reason request --evidence 'letter of 3 November'",
    ),
)
def add_(
    session: Session,
    recipients: Recipients,
    client: ForClient = "",
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="unsubscribe, complaint, bounce, …")
    ] = "request",
    evidence: Annotated[
        str, typer.Option("--evidence", metavar="TEXT", help="What proves it, for whoever asks")
    ] = "",
    dry_run: DryRun = False,
) -> None:
    """Write to these no more: new mail is refused, waiting mail ends, mail on nodes comes back."""
    from controller.cli.suppressions import add_rows
    from controller.suppression.entry import Entry

    rows = [Entry(client, each, reason, evidence, None) for each in recipients]
    add_rows(session, rows, dry_run)


@add(
    group,
    "remove",
    examples=("postfleet suppression remove reader@example.org --client harbor "
              "--reason 'wrote that it was a mistake'",),
)  # fmt: skip
def remove(
    session: Session,
    recipients: Recipients,
    client: ForClient = "",
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Let these be written to again. Mail that ended meanwhile stays ended."""
    from controller.cli.suppressions import remove_rows

    remove_rows(session, recipients, client, reason, dry_run)


@add(group, "list", examples=("postfleet suppression list --client harbor --filter example.org",))
def list_(
    session: Session,
    filter: Filter = "",
    client: OfClient = "*",
    reason: WithReason = "",
    limit: Limit = 100,
) -> None:
    """List suppressions, the first hundred unless --limit says otherwise."""
    from controller.cli.suppressions import show_rows

    show_rows(session, _request(filter, client, reason), limit)


@add(
    group,
    "check",
    examples=("postfleet suppression check reader@example.org --client harbor",),
)
def check(session: Session, recipients: Recipients, client: ForClient = "") -> None:
    """Say what stands between a client and these recipients. Exit code 1 where anything does."""
    from controller.cli.suppressions import check_rows

    check_rows(session, recipients, client)


@add(
    group,
    "import",
    examples=(
        "postfleet suppression import unsubscribed.csv --client harbor --reason unsubscribe",
        "cut -f1 old-system.txt | postfleet suppression import - --dry-run",
    ),
)
def import_(
    session: Session,
    file: File,
    client: ForClient = "",
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Of rows that say none")
    ] = "request",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Import the good lines although some are bad")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Add a list: columns recipient, client, reason, evidence, since; or an address a line.

    Every line is read first; with a bad one nothing is imported, and all of them are named.
    Importing a list again changes nothing.
    """
    from controller.cli.suppressions import import_rows

    import_rows(session, file, client, reason, skip_bad, dry_run)


@add(
    group,
    "export",
    examples=("postfleet suppression export suppressed.csv",
              "postfleet suppression export - --client harbor --reason complaint"),
)  # fmt: skip
def export(
    session: Session,
    file: File,
    filter: Filter = "",
    client: OfClient = "*",
    reason: WithReason = "",
) -> None:
    """Write a list that `import` reads. The file is put in place when it is whole."""
    from controller.cli.suppressions import export_rows

    export_rows(session, file, _request(filter, client, reason))


def _request(filter: str, client: str, reason: str) -> Any:
    from postfleet.v1 import suppression_pb2

    return suppression_pb2.ListSuppressionsRequest(client_id=client, filter=filter, reason=reason)
