"""What can be wrong with an inventory, as data and as one exception that carries all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]


def path_text(path: Path) -> str:
    """`("domains", 3, "mailboxes", 7, "egress")` as `domains[3].mailboxes[7].egress`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (or, as a warning, unwise), before its line is known."""

    path: Path
    # As it stands in the file; None where nothing stands there.
    value: object
    # What is wrong and what is allowed; no final full stop.
    message: str


@dataclass(frozen=True)
class Problem:
    """A finding with its place. `line` counts from 1; 0 where the file has no such place."""

    file: str
    line: int
    path: str
    value: str
    message: str

    def __str__(self) -> str:
        parts = [f"{self.file}:{self.line}" if self.line else self.file]
        parts += [part for part in (self.path, self.value) if part]
        return ": ".join([*parts, self.message])


class InventoryError(Exception):
    """The inventory cannot be used; nothing was changed. `problems` has every reason, in order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
