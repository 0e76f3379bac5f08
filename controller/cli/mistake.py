"""What is wrong with a line of a file that is to be imported, and how people are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.cli.output import notes

_MOST_SHOWN = 20


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a line; `column` is empty where the whole line is meant."""

    line: int
    column: str
    words: str

    def __str__(self) -> str:
        where = f"line {self.line}" + (f", column {self.column}" if self.column else "")
        return f"{where}: {self.words}"


def tell(file: Path, mistakes: Sequence[Mistake]) -> None:
    """Names the first ones on standard error, and how many more there are."""
    for mistake in mistakes[:_MOST_SHOWN]:
        notes().print(f"{file}: {mistake}")
    if len(mistakes) > _MOST_SHOWN:
        notes().print(f"{file}: … and {len(mistakes) - _MOST_SHOWN:,} more lines")
