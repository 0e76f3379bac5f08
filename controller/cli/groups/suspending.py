"""suspend and release, for every group of things that can be stopped for a while.

One definition, so that all of them look and answer alike.
"""

# Annotations are evaluated where they stand: a command's argument depends on its group.

from typing import Annotated, Any

import typer

from controller.cli.command import Session, add
from controller.cli.options import DryRun, Reason

_For = Annotated[
    str, typer.Option("--for", metavar="TIME", help="How long: 30min, 2h, 10d [until released]")
]
_Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="What others will read")]
_STOPS = {
    "egress": "Send nothing through an egress until it is released. Its mail waits; nothing is "
    "lost.",
    "mailbox": "Send nothing from a mailbox until it is released. Its mail waits; nothing is lost.",
    "domain": "Send nothing from a domain until it is released. Its mail waits; nothing is lost.",
    "client": "Send nothing for a client until it is released. Its mail waits; nothing is lost.",
}
_LIFTS = {
    "egress": "Lift an operator's suspension. One made by a failing probe ends with the next good "
    "one.",
    "mailbox": "Lift an operator's suspension. The mailbox may be stopped by others as well.",
    "domain": "Lift an operator's suspension. The domain may be stopped by others as well.",
    "client": "Lift an operator's suspension. The client may be stopped by others as well.",
}


def add_suspension(group: typer.Typer, scope: str, argument: Any, example: str) -> None:
    """Adds both commands. `argument`: the annotated type of what they take; `example`: one."""

    def suspend(
        session: Session, subject: argument, reason: _Why, for_: _For = "", dry_run: DryRun = False
    ) -> None:
        from controller.cli.suspension import ends_at, set_suspension

        set_suspension(session, scope, subject, True, reason, ends_at(for_), dry_run)

    def release(
        session: Session, subject: argument, reason: Reason = "", dry_run: DryRun = False
    ) -> None:
        from controller.cli.suspension import set_suspension

        set_suspension(session, scope, subject, False, reason, None, dry_run)

    suspend.__doc__, release.__doc__ = _STOPS[scope], _LIFTS[scope]
    command = f"postfleet {scope}"
    add(
        group,
        "suspend",
        examples=(
            f"{command} suspend {example} --reason 'we were asked to pause'",
            f"{command} suspend {example} --reason maintenance --for 2h",
        ),
    )(suspend)
    add(group, "release", examples=(f"{command} release {example}",))(release)
