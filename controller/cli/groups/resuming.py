"""resume, for every group of things that health can stop."""

# Annotations are evaluated where they stand: a command's argument depends on its group.

from typing import Annotated, Any

import typer

from controller.cli.command import Session, add
from controller.cli.options import DryRun

_Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="What others will read")]
_AsItWas = Annotated[
    bool, typer.Option("--as-it-was", help="Go on where it was, not at the bottom of a warm-up")
]


def add_resume(group: typer.Typer, scope: str, argument: Any, example: str) -> None:
    """Adds it. `argument`: the annotated type of what it takes; `example`: one."""

    def resume(
        session: Session,
        subject: argument,
        reason: _Why,
        as_it_was: _AsItWas = False,
        dry_run: DryRun = False,
    ) -> None:
        from controller.cli.healths import resume

        resume(session, scope, subject, reason, as_it_was, dry_run)

    resume.__doc__ = (
        f"Let a {scope} go on that health paused, quarantined or slowed, before its time.\n\n"
        "It says what it was stopped for. What was counted so far does not count any more; it is "
        "watched, and begins at the bottom of its warm-up. `release` lifts operators' suspensions."
    ).replace("a egress", "an egress")
    command = f"postfleet {scope} resume {example}"
    add(
        group,
        "resume",
        examples=(
            f"{command} --reason 'the list was cleaned' --dry-run",
            f"{command} --reason 'complaints of a test' --as-it-was",
        ),
    )(resume)
