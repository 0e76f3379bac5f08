"""The report of the day: for people, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lab.day.run import Outcome
from lab.day.verdict import LEARNING_HOURS, LEAST_USED, MOST_REFUSALS

_SHOWN = 20


def print_report(outcome: Outcome, console: Console) -> None:
    """The hours of each provider, then what came of the search for its limit."""
    hours = Table(title="Taken + refused for their number, by hour of the day")
    hours.add_column("provider")
    for number in range(outcome.day.length):
        hours.add_column(str(number + 1), justify="right")
    for provider, row in outcome.day.hours.items():
        cells = (f"{hour.taken:,}+{hour.refused:,}" for hour in row)
        hours.add_row(provider, *cells)
    console.print(hours)
    found = Table(
        title=f"Limits that nobody told, an address and hour, from hour {LEARNING_HOURS + 1} on"
    )
    for name in ("provider", "takes", "refusals before", "refusals", "of tries", "used", ""):
        found.add_column(name, justify="left" if name in ("", "provider") else "right")
    for each in outcome.findings:
        found.add_row(
            each.provider,
            f"{each.limit}",
            f"{each.refusals_before:.2f}",
            f"{each.refusals:.2f}",
            f"{each.refused:.0%}",
            f"{each.used:.0%}",
            "found" if each.holds else f"at most {MOST_REFUSALS:g}, at least {LEAST_USED:.0%}",
        )
    console.print(found)
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(outcome.states.items()))
    console.print(f"{outcome.submitted:,} submitted: {states}", soft_wrap=True)
    for line in outcome.differences[:_SHOWN]:
        console.print(f"  [red]{escape(line)}[/]", soft_wrap=True)
    if len(outcome.differences) > _SHOWN:
        console.print(f"  … and {len(outcome.differences) - _SHOWN} more (all: --json FILE)")
    if outcome.holds:
        console.print(
            "[green]Everything holds:[/] nothing lost, nothing twice, and every limit was found."
        )


def write_json(outcome: Outcome, path: Path) -> None:
    """All of it."""
    path.write_text(json.dumps({**asdict(outcome), "holds": outcome.holds}, indent=1) + "\n")
