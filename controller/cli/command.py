"""What every command has in common: where the controller is, --json, and how failures end.

A command is a function whose first parameter is a `Session`; `add` makes it one of a group and
gives it the common options, so `postfleet node list --json --controller …` works as well as
`postfleet --controller … node list --json`.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.exits import Exit
from controller.cli.failure import Failure

DEFAULT_CONTROLLER = "127.0.0.1:7443"

ControllerOption = Annotated[
    str | None,
    typer.Option(
        "--controller",
        metavar="HOST:PORT",
        help=f"Where the controller listens; also POSTFLEET_CONTROLLER [{DEFAULT_CONTROLLER}]",
    ),
]
CredentialsOption = Annotated[
    Path | None,
    typer.Option(
        "--credentials",
        metavar="DIR",
        help="Folder with ca.pem, cert.pem, key.pem; also POSTFLEET_CREDENTIALS "
        "[~/.config/postfleet]",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs")]


@dataclass(frozen=True)
class Session:
    """How one command was called."""

    controller: str
    credentials: Path
    json: bool


def add(
    group: typer.Typer, name: str, *, examples: tuple[str, ...] = (), connects: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds a command. `examples` are shown by --help; `connects`: it talks to the controller."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        group.command(name, epilog=_epilog(examples))(_with_common_options(function, connects))
        return function

    return register


def _epilog(examples: tuple[str, ...]) -> str | None:
    # \b keeps the lines as they are.
    return "\b\nExamples:\n" + "\n".join(f"  {each}" for each in examples) if examples else None


def _with_common_options(function: Callable[..., None], connects: bool) -> Callable[..., None]:
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]
    common: list[tuple[str, Any, Any]] = [("json_", JsonOption, False)]
    if connects:
        common += [("controller", ControllerOption, None), ("credentials", CredentialsOption, None)]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(
            "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
        ),
        *(each.replace(kind=keyword) for each in own),
        *(inspect.Parameter(n, keyword, default=d, annotation=a) for n, a, d in common),
    ]

    @functools.wraps(function)
    def run(context: typer.Context, **given: Any) -> None:
        root: dict[str, Any] = context.find_root().obj or {}
        json_ = given.pop("json_")
        controller = given.pop("controller", None) or root.get("controller")
        credentials = given.pop("credentials", None) or root.get("credentials")
        session = Session(
            controller or os.environ.get("POSTFLEET_CONTROLLER") or DEFAULT_CONTROLLER,
            Path(credentials or os.environ.get("POSTFLEET_CREDENTIALS") or _home()).expanduser(),
            json_,
        )
        _guarded(function, session, given)

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _home() -> str:
    return "~/.config/postfleet"


def _guarded(function: Callable[..., None], session: Session, given: dict[str, Any]) -> None:
    """Runs a command; a failure becomes words and an exit code."""
    try:
        function(session, **given)
        sys.stdout.flush()
    except Failure as failure:
        _tell(session, failure)
        raise typer.Exit(failure.exit_code) from None
    except KeyboardInterrupt:
        print("postfleet: interrupted", file=sys.stderr)
        raise typer.Exit(Exit.INTERRUPTED) from None
    except BrokenPipeError:
        # Whoever read the output has seen enough; keep the interpreter from flushing again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(session: Session, failure: Failure) -> None:
    if session.json:
        problem = {"exit": int(failure.exit_code), "error": str(failure)}
        print(json.dumps(problem, ensure_ascii=False), file=sys.stderr)
    else:
        print(f"postfleet: {failure}", file=sys.stderr)
