"""The demonstration's phases on the terminal: what runs, how far it is, how long it took.

On a terminal a bar or spinner shows the running phase; elsewhere each phase is one line at its end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
)


@dataclass
class Phase:
    """The running phase. `note` is what is printed after its name when it is done."""

    progress: Progress
    tasks: dict[str, TaskID] = field(default_factory=dict)
    note: str = ""

    def show(self, what: str, done: int, total: int | None, doing: str = "") -> None:
        """How far a part of the phase is; `total` None: nobody knows how long it takes.

        `doing` is what it is at just now.
        """
        if what not in self.tasks:
            self.tasks[what] = self.progress.add_task(what, total=total)
        text = f"{what}  {doing}" if doing else what
        self.progress.update(
            self.tasks[what], completed=done, total=total, description=escape(text)
        )


@dataclass
class Phases:
    """All phases so far with their seconds."""

    console: Console
    elapsed_s: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Runs one phase. One that fails is printed as failed, and its exception goes on."""
        began = time.monotonic()
        progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        phase = Phase(progress)
        mark = "[red]✗[/]"
        try:
            with progress:
                phase.show(name, 0, None)
                yield phase
            mark = "[green]✓[/]"
        finally:
            self.elapsed_s[name] = time.monotonic() - began
            note = f" — {phase.note}" if phase.note else ""
            self.console.print(f"{mark} {self.elapsed_s[name]:6.1f} s  {name}{note}")

    @property
    def total_s(self) -> float:
        """Seconds since the first phase was made possible."""
        return time.monotonic() - self._began
