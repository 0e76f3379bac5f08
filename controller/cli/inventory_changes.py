"""Shows what an inventory changes, to people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from rich.text import Text

from controller.cli.output import console, notes

_SIGNS = {"add": ("+", "green"), "change": ("~", "yellow"), "remove": ("-", "red"),
          "retire": ("-", "red")}  # fmt: skip
_PLURALS = {"mailbox": "mailboxes", "egress": "egresses"}
# More than so many additions of a kind are counted, not listed.
_LISTED = 10


def print_changes(planned: Any, every: bool) -> None:
    """The changes in order, and a line that sums them up."""
    for warning in planned.warnings:
        notes().print(Text(f"warning: {warning}", style="yellow"))
    out = console()
    for line in _lines(planned.changes, every):
        out.print(line)
    out.print(_sum(planned))


def _lines(changes: Iterable[Any], every: bool) -> Iterator[Text]:
    for (action, kind), run in groupby(changes, key=lambda change: (change.action, change.kind)):
        group = list(run)
        if action == "add" and len(group) > _LISTED and not every:
            many = f"{len(group):,} {_plural(kind, len(group))}"
            yield Text(f"+ {many}: {group[0].id} … {group[-1].id}", style="green")
            continue
        for change in group:
            sign, style = _SIGNS[action]
            yield Text(f"{sign} {kind} {change.id}", style=style)
            for detail in change.details:
                yield Text(f"    {detail}")


def _sum(planned: Any) -> str:
    if not planned.changes:
        return "nothing to change: the fleet is as the inventory says"
    added, changed, removed = 0, 0, 0
    for change in planned.changes:
        added += change.action == "add"
        changed += change.action == "change"
        removed += change.action in ("remove", "retire")
    if planned.applied:
        return f"applied: {added:,} added, {changed:,} changed, {removed:,} removed"
    return f"planned: {added:,} to add, {changed:,} to change, {removed:,} to remove"


def _plural(kind: str, count: int) -> str:
    return kind if count == 1 else _PLURALS.get(kind, f"{kind}s")
