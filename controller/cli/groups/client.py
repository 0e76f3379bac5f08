"""postfleet client: whose mail it is."""

from __future__ import annotations

import typer

from controller.cli.groups.suspending import add_suspension
from controller.cli.options import ClientId

group = typer.Typer(help="Whose mail it is.", no_args_is_help=True)

add_suspension(group, "client", ClientId, "harbor")
