"""postfleet campaign: many messages from one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.command import Session, add

group = typer.Typer(
    help="Campaigns: many messages from one file, with windows, limits and follow-ups.",
    no_args_is_help=True,
)

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
