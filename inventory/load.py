"""Load an inventory; all of its errors at once: file, line, path, value and what is allowed.

`parse` takes text (the controller gets text), `load` a file. Neither resolves secrets; that is
`inventory.secrets`. 1,200 mailboxes take well under half a second, 100,000 some seconds.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

from pydantic import ValidationError

from inventory import rules, shape
from inventory.errors import Finding, InventoryError, Path, Problem, path_text
from inventory.parts import Parts, salvaged, whole
from inventory.schema import Inventory
from inventory.yaml_reader import lines_of, read

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxdict = _SHORT.maxlist = 2
_SHORT.maxlevel = 1


@dataclass(frozen=True)
class Loaded:
    """A valid inventory, the file and text it was read from, and what is unwise about it."""

    inventory: Inventory
    file: str
    text: str
    warnings: tuple[Problem, ...]


def load(file: FilePath) -> Loaded:
    """Reads and checks a file. Raises InventoryError, also where the file cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        words = f"cannot read the inventory: {error.strerror or error}"
        raise InventoryError([Problem(str(file), 0, "", "", words)]) from None
    except UnicodeDecodeError as error:
        words = f"is not UTF-8 text: octet {error.start} is {error.object[error.start]:#04x}"
        raise InventoryError([Problem(str(file), 0, "", "", words)]) from None
    return parse(text, str(file))


def parse(text: str, file: str) -> Loaded:
    """Checks a text; `file` only names it in errors. Raises InventoryError."""
    reading = read(text)
    problems = [problem_at(file, line, finding) for line, finding in reading.problems]
    if reading.data is None and problems:
        raise InventoryError(problems)
    inventory, parts, found = _check(reading.data)
    found += rules.violations(parts)
    problems = sorted([*problems, *located(text, file, found)], key=lambda problem: problem.line)
    if problems or inventory is None:
        raise InventoryError(problems)
    return Loaded(inventory, file, text, tuple(located(text, file, rules.warnings(parts))))


def _check(data: object) -> tuple[Inventory | None, Parts, list[Finding]]:
    if not isinstance(data, dict):
        what = "is empty" if data is None else "must be a mapping"
        return None, Parts(), [Finding((), None, f"the inventory {what}; see `version: 1`")]
    try:
        inventory = Inventory.model_validate(data)
    except ValidationError as error:
        return None, salvaged(data), shape.findings(error)
    return inventory, whole(inventory), []


def located(text: str, file: str, found: Sequence[Finding]) -> list[Problem]:
    """Findings with the lines at which their paths stand in the text."""
    if not found:
        return []
    lines: dict[Path, int] = lines_of(text, [finding.path for finding in found])
    return [problem_at(file, lines[finding.path], finding) for finding in found]


def problem_at(file: str, line: int, finding: Finding) -> Problem:
    """A finding with its place."""
    # A password that stands in the file by mistake is still a password.
    secret = finding.path[-1:] == ("password",)
    value = "" if finding.value is None or secret else _shown(finding.value)
    return Problem(file, line, path_text(finding.path), value, finding.message)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return _SHORT.repr(value)
