"""postfleet fleet: the whole, and the inventory that describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.command import Session, add
from controller.cli.options import DryRun, OfClient

group = typer.Typer(help="The whole fleet and its inventory.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="An inventory (YAML)")]
SecretsDir = Annotated[
    Path | None,
    typer.Option(
        "--secrets-dir",
        metavar="DIR",
        help="Where relative file: references start [the inventory's folder]",
    ),
]
Every = Annotated[
    bool, typer.Option("--all", help="Show every single change; long lists are counted otherwise")
]


@add(group, "show", examples=("postfleet fleet show", "postfleet fleet show --json"))
def show(session: Session) -> None:
    """Show the fleet in numbers: nodes, egresses, mail by state."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import asking
    from controller.cli.output import as_data, number, print_details, print_json

    summary = asking(session, "GetFleet", fleet_pb2.GetFleetRequest())
    if session.json:
        print_json(as_data(summary))
        return
    messages = ", ".join(f"{count:,} {state}" for state, count in sorted(summary.messages.items()))
    print_details(
        [
            ("clients", number(summary.clients)),
            ("domains", number(summary.domains)),
            ("mailboxes", number(summary.mailboxes)),
            ("egresses", f"{summary.egresses:,}, {summary.egresses_assigned:,} on a node, "
                         f"{summary.egresses_suspended:,} suspended"),
            ("nodes", f"{summary.nodes:,}, {summary.nodes_connected:,} connected"),
            ("messages", messages or "none"),
            ("of these", f"{summary.messages_deferred:,} deferred and tried again"),
            ("controller", f"{session.controller}, version {summary.controller_version}"),
        ]
    )  # fmt: skip


@add(
    group,
    "plan",
    examples=(
        "postfleet fleet plan inventory.yaml",
        "postfleet fleet plan inventory.yaml --check    # exit 1 if anything would change",
    ),
)
def plan(
    session: Session,
    file: File,
    secrets_dir: SecretsDir = None,
    every: Every = False,
    check: Annotated[
        bool, typer.Option("--check", help="End with 1 where anything would change")
    ] = False,
) -> None:
    """Say what applying an inventory would change. Changes nothing."""
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure

    planned = _send(session, "PlanInventory", file, secrets_dir)
    _print(session, planned, every)
    if planned.refusals:
        raise Failure(Exit.REFUSED, _refusals(planned, "would be refused"))
    if check and planned.changes:
        changes = "1 change" if len(planned.changes) == 1 else f"{len(planned.changes):,} changes"
        raise Failure(Exit.REFUSED, f"the fleet differs from {file}: {changes}")


@add(
    group,
    "apply",
    examples=(
        "postfleet fleet apply inventory.yaml",
        "postfleet fleet apply inventory.yaml --secrets-dir /root/secrets --yes",
        "postfleet fleet apply inventory.yaml --dry-run",
    ),
)
def apply(
    session: Session,
    file: File,
    secrets_dir: SecretsDir = None,
    every: Every = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before removing anything")] = False,
    dry_run: DryRun = False,
) -> None:
    """Make the fleet what the inventory says: in one transaction, all of it or nothing.

    Applying what is applied already changes nothing. On a terminal it asks before it removes.
    """
    import sys

    from controller.cli.connection import APPLY_TIMEOUT_S
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure

    ask_first = sys.stdin.isatty() and sys.stdout.isatty() and not yes and not session.json
    if dry_run or ask_first:
        planned = _send(session, "PlanInventory", file, secrets_dir)
        _print(session, planned, every)
        if planned.refusals:
            raise Failure(Exit.REFUSED, _refusals(planned, "is refused"))
        if dry_run:
            return
        if _removes(planned) and not typer.confirm("Remove these?", default=False):
            raise Failure(Exit.REFUSED, "not confirmed; nothing was changed")
    done = _send(session, "ApplyInventory", file, secrets_dir, APPLY_TIMEOUT_S)
    if ask_first:
        print("applied" if done.changes else "nothing to apply")
    else:
        _print(session, done, every)


def _send(
    session: Session, method: str, file: Path, secrets_dir: Path | None, timeout_s: float = 300
) -> Any:
    import os

    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure
    from inventory.errors import InventoryError
    from inventory.load import load
    from inventory.secrets import resolve

    try:
        loaded = load(file)
        secrets = resolve(loaded, secrets_dir or file.parent, os.environ)
    except InventoryError as error:
        errors = "1 error" if len(error.problems) == 1 else f"{len(error.problems):,} errors"
        words = f"{file} has {errors}, and nothing was changed:\n{error}"
        raise Failure(Exit.REFUSED, words) from None
    request = fleet_pb2.InventoryRequest(yaml=loaded.text, secrets=secrets)
    with connected(session) as connection:
        return connection.ask(method, request, timeout_s)


def _print(session: Session, planned: Any, every: bool) -> None:
    from controller.cli.inventory_changes import print_changes
    from controller.cli.output import as_data, print_json

    if session.json:
        print_json(as_data(planned))
    else:
        print_changes(planned, every)


def _refusals(planned: Any, word: str) -> str:
    lines = [f"applying this {word}:", *planned.refusals, "Nothing was changed."]
    return "\n".join(lines)


def _removes(planned: Any) -> bool:
    return any(change.action in ("remove", "retire") for change in planned.changes)


@add(
    group,
    "dns",
    examples=(
        "postfleet fleet dns > zone.txt",
        "postfleet fleet dns --purpose ptr",
        "postfleet fleet dns --client harbor --json",
    ),
)
def dns(
    session: Session,
    client: OfClient = "",
    purpose: Annotated[
        list[str] | None,
        typer.Option(
            "--purpose",
            metavar="PURPOSE",
            help="Only dkim, spf, dmarc, ehlo, ptr or mx; repeatable",
        ),
    ] = None,
) -> None:
    """Print the DNS records that the fleet needs, as lines of a zone file."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure
    from controller.cli.zone import print_records

    known = ("dkim", "spf", "dmarc", "ehlo", "ptr", "mx")
    for each in purpose or ():
        if each not in known:
            raise Failure(Exit.USAGE, f"--purpose {each}: there are {', '.join(known)}")
    with connected(session) as connection:
        rows = connection.pages(
            "ListDnsRecords", fleet_pb2.ListRequest(client_id=client), "records"
        )
        records = [row for row in rows if not purpose or row.purpose in purpose]
    print_records(session, sorted(records, key=lambda row: known.index(row.purpose)))
