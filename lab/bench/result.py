"""What was measured, against its bar: as JSON for machines, as a table for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import Any


class Side(Enum):
    """On which side of its bar a value is good."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True)
class Bar:
    """What a row has to reach; `aim` is what we would like."""

    side: Side
    value: float
    aim: float | None = None

    def met(self, value: float) -> bool:
        """Whether `value` is good enough. Nothing is rounded before."""
        return value >= self.value if self.side is Side.AT_LEAST else value <= self.value

    def __str__(self) -> str:
        aim = f", aim {self.aim:g}" if self.aim is not None else ""
        return f"{self.side.value} {self.value:g}{aim}"


@dataclass(frozen=True)
class Result:
    """One row. `value` None: it could not be measured, `note` says why."""

    name: str
    value: float | None
    unit: str
    bar: Bar
    note: str = ""

    @property
    def met(self) -> bool:
        """A row that was not measured is not met."""
        return self.value is not None and self.bar.met(self.value)

    def as_json(self) -> dict[str, Any]:
        """name, value, unit, bar, met and, where there is something to say, note."""
        row: dict[str, Any] = {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "bar": str(self.bar),
            "met": self.met,
        }
        return row | ({"note": self.note} if self.note else {})


def median_ratio(values: Sequence[float], references: Sequence[float]) -> float:
    """Return the median over rounds of value / reference of the same round.

    A machine that is slower in one round is so for both: the ratio of each round is what counts.
    """
    return median(value / reference for value, reference in zip(values, references, strict=True))


def spread(values: Sequence[float]) -> str:
    """Return "median (least … most)"."""
    return f"{median(values):.0f} ({min(values):.0f} … {max(values):.0f})"


def table(results: Sequence[Result]) -> str:
    """Return the rows for people, one line each, and a last line that sums up."""
    rows = [("what", "measured", "bar", "")]
    for result in results:
        measured = "not measured" if result.value is None else f"{result.value:.3g} {result.unit}"
        rows.append((result.name, measured.strip(), str(result.bar), _verdict(result)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in rows]  # fmt: skip
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines += [f"  {result.name}: {result.note}" for result in results if result.note]
    met = sum(result.met for result in results)
    lines.append(f"{met} of {len(results)} bars met")
    return "\n".join(lines)


def _verdict(result: Result) -> str:
    if not result.met:
        return "NOT MET"
    aim = result.bar.aim
    return "met" if aim is None or result.value is None or result.value >= aim else "met, below aim"
