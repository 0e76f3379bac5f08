"""Writes docs/reference/cli.md from the commands themselves: `python -m controller.cli.reference`.

A test compares the committed page with what this writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from controller.cli.exits import MEANINGS
from controller.cli.main import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"
_HEAD = """\
# postfleet: the command line

Written by `python -m controller.cli.reference` from the commands themselves; do not edit.

`--controller` and `--credentials` may stand before or behind the command; the environment variables
`POSTFLEET_CONTROLLER` and `POSTFLEET_CREDENTIALS` say them for a whole session. With `--json` a
command prints one JSON document (`message submit` and `message watch`: one a line), with the field
names of protos/postfleet/v1/fleet.proto; a failure is `{"exit": …, "error": …}` on standard error.
`postfleet --install-completion` makes the shell complete commands, options and ids.
"""


def commands() -> Iterator[tuple[str, Any]]:
    """(name with all its words, command) of every command, in the order of --help."""
    yield from _below(typer.main.get_command(app), "postfleet")


def _below(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child_name, child in children.items():
        yield from _below(child, f"{name} {child_name}")


def page() -> str:
    """The page as Markdown."""
    lines = [_HEAD, "## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {int(code)} | {meaning} |" for code, meaning in MEANINGS.items()]
    for name, command in commands():
        lines += ["", *_section(name, command)]
    return "\n".join(lines) + "\n"


def _section(name: str, command: Any) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    usage = " ".join([name, *(_argument(each) for each in arguments)])
    yield f"## `{usage}`"
    yield ""
    yield "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    rows = [row for each in command.params if (row := _row(each))]
    if rows:
        yield ""
        yield "| argument or option | meaning |"
        yield "|---|---|"
        yield from rows
    if command.epilog:
        yield ""
        yield "```sh"
        yield from (line.strip() for line in command.epilog.splitlines()[2:])
        yield "```"


def _argument(each: Any) -> str:
    name = str(each.metavar or each.name).strip("[].")
    name = f"{name}..." if each.nargs == -1 else name
    return name if each.required else f"[{name}]"


def _row(each: Any) -> str:
    if each.name == "help":
        return ""
    argument = each.param_type_name == "argument"
    flag = not argument and each.is_flag
    left = f"`{_argument(each)}`"
    if not argument:
        left = ", ".join(f"`{word}`" for word in each.opts)
        left = left if flag else left[:-1] + f" {_value(each)}`"
    notes = str(each.help or "")
    if each.required and not argument:
        notes += " (required)"
    elif not flag and each.default not in (None, "", 0, ()):
        notes += f" (default {_default(each.default)})"
    return f"| {left} | {notes.replace('|', chr(92) + '|')} |"


def _value(each: Any) -> str:
    return str(each.metavar or each.name).upper()


def _default(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Writes the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
