"""The templates of a letter: compiled once, rendered for each recipient; errors have their place.

A template's place is the part of the campaign file it stands in (`text`, `follow_ups[0].subject`)
or its file, and the line within it.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError

from controller.campaigns.bounds import TooMuch
from controller.campaigns.sandbox import Sandbox
from inventory.suggest import did_you_mean

_TEXT, _HTML = Sandbox(html=False), Sandbox(html=True)


class Complaint(Exception):
    """What is wrong with a template; `line` counts from 1 within it, 0: not known.

    Its text names the place; `within` is for those who see the place already.
    """

    def __init__(self, place: str, line: int, words: str) -> None:
        where = f"{place}, line {line}" if line else place
        super().__init__(f"{where}: {words}")
        self.within = f"line {line} of it: {words}" if line else words


class Part:
    """One template. `place`: how a person finds it."""

    def __init__(self, source: str, place: str, *, html: bool = False) -> None:
        """Raises Complaint where it is no template."""
        self.place = place
        self._sandbox = _HTML if html else _TEXT
        self._file = f"<{place}>"
        try:
            self._tree = self._sandbox.parse(source, filename=self._file)
            code = self._sandbox.compile(source, filename=self._file)
        except TemplateSyntaxError as error:
            raise Complaint(place, error.lineno, error.message or "is no template") from None
        except RecursionError:
            raise Complaint(place, 0, "is nested too deeply") from None
        for node in self._tree.find_all((nodes.Extends, nodes.Include, nodes.Import)):
            words = "includes another file; a campaign's templates stand alone"
            raise Complaint(place, node.lineno, words)
        self._template = Template.from_code(self._sandbox, code, self._sandbox.globals)

    def unknown(self, columns: Set[str]) -> list[Complaint]:
        """A complaint for each name in it that is neither a column nor defined in the template."""
        names = meta.find_undeclared_variables(self._tree) - columns - {"range"}
        return [
            Complaint(
                self.place,
                self._line_of(name),
                f"unknown column {name!r}{did_you_mean(name, columns)}"
                f"; the columns are {', '.join(sorted(columns))}",
            )
            for name in sorted(names)
        ]

    def _line_of(self, name: str) -> int:
        found = [n.lineno for n in self._tree.find_all(nodes.Name) if n.name == name]
        return min(found, default=0)

    def render(self, row: Mapping[str, Any]) -> str:
        """The text for one recipient. Raises Complaint."""
        self._sandbox.budget.begin()
        try:
            return self._template.render(row)
        except (
            TooMuch, UndefinedError, SecurityError, TemplateError, RecursionError,
            TypeError, ValueError, ArithmeticError, LookupError, AttributeError,
        ) as error:  # fmt: skip
            raise Complaint(self.place, self._line(error), _words(error)) from None

    def _line(self, error: BaseException) -> int:
        frames = traceback.walk_tb(error.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == self._file]
        return lines[-1] if lines else 0


def _words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "a macro calls itself without end"
    if isinstance(error, UndefinedError):
        return f"{error.message}: the row has no such value"
    return str(error) or type(error).__name__


@dataclass(frozen=True, slots=True)
class LetterParts:
    """The templates of one message of the campaign."""

    subject: Part
    text: Part
    html: Part | None

    def parts(self) -> tuple[Part, ...]:
        return tuple(part for part in (self.subject, self.text, self.html) if part is not None)
