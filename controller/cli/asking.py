"""Asks a person before something grave is done; programs say --yes."""

from __future__ import annotations

import sys

import typer

from controller.cli.command import Session
from controller.cli.exits import Exit
from controller.cli.failure import Failure

_NOT_CONFIRMED = "not confirmed; nothing was changed"


def confirm(session: Session, question: str, *, yes: bool) -> None:
    """Goes on where the answer is yes. Raises Failure."""
    if yes:
        return
    _need_terminal(session)
    if not typer.confirm(question, default=False, err=True):
        raise Failure(Exit.REFUSED, _NOT_CONFIRMED)


def confirm_by_name(session: Session, question: str, name: str, *, yes: bool) -> None:
    """Goes on where the name was typed: nobody does that by habit. Raises Failure."""
    if yes:
        return
    _need_terminal(session)
    if typer.prompt(question, default="", show_default=False, err=True).strip() != name:
        raise Failure(Exit.REFUSED, _NOT_CONFIRMED)


def _need_terminal(session: Session) -> None:
    if session.json or not sys.stdin.isatty():
        raise Failure(
            Exit.REFUSED,
            "this is asked for first, and there is nobody to answer; nothing was changed. --yes "
            "does it without asking, --dry-run shows what it would do",
        )
