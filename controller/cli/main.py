"""postfleet: puts the groups of commands together.

Imports of a group are cheap: what a command needs is imported when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.command import DEFAULT_CONTROLLER, Session, add
from controller.cli.groups import (
    audit,
    campaign,
    client,
    controller,
    cost,
    domain,
    egress,
    feedback,
    fleet,
    health,
    mailbox,
    message,
    node,
    shaping,
    shard,
    simulate,
    suppression,
    why,
)

app = typer.Typer(
    name="postfleet",
    help="Runs a fleet of Postfix nodes: who sends what, when, how much, through which egress.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExit codes: 0 done, 1 refused or differs, 2 usage, 3 controller unreachable,\n"
    "4 not found, 5 not allowed, 6 controller failed, 130 interrupted.",
)
for _name, _group in (
    ("fleet", fleet),
    ("node", node),
    ("shard", shard),
    ("mailbox", mailbox),
    ("egress", egress),
    ("domain", domain),
    ("client", client),
    ("message", message),
    ("campaign", campaign),
    ("why", why),
    ("suppression", suppression),
    ("feedback", feedback),
    ("health", health),
    ("shaping", shaping),
    ("audit", audit),
    ("controller", controller),
):
    app.add_typer(_group.group, name=_name)


@app.callback()
def root(
    context: typer.Context,
    controller: Annotated[
        str | None,
        typer.Option(
            "--controller",
            metavar="HOST:PORT",
            help=f"Where the controller listens; also POSTFLEET_CONTROLLER [{DEFAULT_CONTROLLER}]",
        ),
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(
            "--credentials",
            metavar="DIR",
            help="Folder with ca.pem, cert.pem, key.pem; also POSTFLEET_CREDENTIALS "
            "[~/.config/postfleet]",
        ),
    ] = None,
) -> None:
    """Common options may stand here or behind the command."""
    context.obj = {"controller": controller, "credentials": credentials}


add(
    app,
    "cost",
    connects=False,
    examples=("postfleet cost", "postfleet cost inventory.yaml --delivered 1600000"),
)(cost.cost)
add(
    app,
    "simulate",
    connects=False,
    examples=(
        "postfleet simulate",
        "postfleet simulate --days 90 --inventory inventory.yaml --scenario launch --json",
    ),
)(simulate.simulate)


@add(app, "capacity", examples=("postfleet capacity", "postfleet capacity --json"))
def capacity(session: Session) -> None:
    """Say whether the fleet survives the loss of any one node and of any failure domain.

    Ends with 1 where it does not; says then what would not send, and what to add.
    """
    from controller.cli.capacity import show

    show(session)


@add(app, "version", connects=False, examples=("postfleet version",))
def version(session: Session) -> None:
    """Print the version of this program."""
    import json
    import platform
    from importlib.metadata import version as installed

    if session.json:
        print(
            json.dumps({"postfleet": installed("postfleet"), "python": platform.python_version()})
        )
    else:
        print(f"postfleet {installed('postfleet')} (Python {platform.python_version()})")


def main() -> None:
    """The program `postfleet`."""
    app(prog_name="postfleet")


if __name__ == "__main__":
    main()
