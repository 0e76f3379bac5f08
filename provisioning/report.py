"""What an operator sees: one line for each step of each node, a bar for all, a table at the end.

On a terminal a progress bar for each node stands below the lines; elsewhere there are only the
lines. Safe to be called from many threads.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table


@dataclass
class Result:
    """How it ended on one node. `error` is empty when it went well."""

    node_id: str
    outcome: str = ""
    steps: list[str] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0


class Report:
    """Use it in a `with`; `results` in the order of the inventory at the end."""

    def __init__(self, title: str, node_ids: list[str], console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._title = title
        self._lock = threading.Lock()
        self._started = dict.fromkeys(node_ids, time.monotonic())
        self.results = {node_id: Result(node_id) for node_id in node_ids}
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[node]:<6}"),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Report:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    @property
    def has_begun(self) -> bool:
        """Work on any node began; before that there is nothing to sum up."""
        return any(result.outcome for result in self.results.values()) or bool(self._tasks)

    def begin(self, node_id: str) -> None:
        """Work on this node begins."""
        with self._lock:
            self._started[node_id] = time.monotonic()
            self._tasks[node_id] = self._progress.add_task("connecting", node=node_id, total=None)

    def planned(self, node_id: str, steps: int) -> None:
        """So many steps are to be done on it."""
        self._progress.update(self._tasks[node_id], total=steps, completed=0)

    def doing(self, node_id: str, step: str) -> None:
        """This step begins."""
        self._progress.update(self._tasks[node_id], description=step)

    def line(self, node_id: str, step: str, word: str, seconds: float, why: str = "") -> None:
        """One step is over."""
        took = f"{seconds:6.1f} s" if seconds else "        "
        with self._lock:
            text = f"{node_id:<6} {step:<12} {word:<8} {took}  {why}"
            self.console.print(text.rstrip(), markup=False, soft_wrap=True)
            if node_id in self._tasks:
                self._progress.advance(self._tasks[node_id])

    def end(self, node_id: str, outcome: str, error: str = "") -> None:
        """Work on this node is over."""
        with self._lock:
            result = self.results[node_id]
            result.outcome, result.error = outcome, error
            result.seconds = time.monotonic() - self._started[node_id]
            if node_id in self._tasks:
                self._progress.remove_task(self._tasks.pop(node_id))

    def summary(self) -> None:
        """The table, then every error in full."""
        table = Table("node", "result", "steps", "seconds", title=self._title, title_justify="left")
        for result in self.results.values():
            steps = ", ".join(result.steps) or "–"
            seconds = f"{result.seconds:.1f}" if result.seconds else "–"
            table.add_row(result.node_id, result.outcome or "not begun", steps, seconds)
        self.console.print(table)
        for result in self.results.values():
            if result.error:
                self.console.print(result.error, markup=False, style="red", soft_wrap=True)
