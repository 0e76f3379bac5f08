"""A rule book that is fit for use: each mistake in its files and each failed proof is an error."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from controller.shaping.book import RuleBook, open_book
from controller.shaping.proof import problems
from controller.shaping.read import ShapingError


def open_proved(own: Path | None, providers: Collection[str]) -> RuleBook:
    """The shipped rules with those of a file over them, proved. Raises ShapingError."""
    book = open_book(own, providers)
    found = problems(book)
    if found:
        raise ShapingError(found)
    return book
