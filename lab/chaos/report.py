"""The scores: one line for each scenario as it ends, a table at the end, and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lab.chaos.facts import Score

# Field of the score: its heading.
COLUMNS = {
    "accepted": "accepted",
    "sent": "sent",
    "bounced": "bounced",
    "waiting": "waiting",
    "uncertain": "uncertain",
    "lost": "lost",
    "duplicates": "twice",
    "overlap_ms": "overlap ms",
    "caps_exceeded": "over caps",
}
# Where there is no terminal, a table is not squeezed into 80 columns.
_WIDTH = 150
_SHOWN = 12


def print_score(score: Score, console: Console) -> None:
    """What is wrong with it, or why it could not be played; nothing where it holds."""
    if score.impossible:
        line = f"[yellow]{score.name} cannot be played here:[/] {escape(score.impossible)}"
        console.print(line, soft_wrap=True)
    lines = (*score.wrong, *score.late)
    for line in lines[:_SHOWN]:
        console.print(f"  [red]{score.name}:[/] {escape(line)}", soft_wrap=True)
    if len(lines) > _SHOWN:
        console.print(f"  … and {len(lines) - _SHOWN} more (all of them: --json FILE)")
    if score.played_again:
        console.print(f"  {score.name} was only late: it is played once more")


def print_table(scores: Sequence[Score], console: Console) -> None:
    """All scores, then the reason of each uncertain message."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("scenario", no_wrap=True)
    for heading in (*COLUMNS.values(), "resume s", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("holds", no_wrap=True)
    for score in scores:
        numbers = [f"{getattr(score, column):,}" for column in COLUMNS]
        resume = "–" if score.resume_s is None else f"{score.resume_s:.1f}"
        verdict = "[green]yes[/]" if score.holds else "[red]NO[/]"
        if score.played_again:
            verdict = "late, again:"
        if score.impossible:
            verdict = "[yellow]not played[/]"
        table.add_row(score.name, *numbers, resume, f"{score.elapsed_s:.0f}", verdict)
    wide = Console(file=console.file, width=_WIDTH, force_terminal=console.is_terminal)
    (console if console.width >= _WIDTH else wide).print(table)
    for score in scores:
        for reason in score.reasons:
            console.print(f"  uncertain, {score.name}: {escape(reason)}", soft_wrap=True)


def write_json(scores: Sequence[Score], path: Path) -> None:
    """All of it; `resume_s` is null where nothing moves and where mail never came (see `wrong`)."""
    rows = [asdict(score) | {"holds": score.holds} for score in scores]
    for row in rows:
        if row["resume_s"] is not None and math.isinf(row["resume_s"]):
            row["resume_s"] = None
    path.write_text(json.dumps({"scenarios": rows}, indent=1) + "\n")
