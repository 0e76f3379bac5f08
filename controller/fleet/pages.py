"""Pages of lists: how many rows, from where on. Tokens are the last row's id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from controller.fleet.errors import BadRequestError

MOST_ROWS = 10_000
USUAL_ROWS = 1_000
T = TypeVar("T")


def page_size(asked: int) -> int:
    """Rows of a page; 0 asks for the usual. Raises BadRequestError."""
    if asked > MOST_ROWS:
        raise BadRequestError(f"page_size: {asked:,}; at most {MOST_ROWS:,} rows make a page")
    return asked or USUAL_ROWS


def page(rows: Sequence[dict[str, Any]], size: int, key: str) -> tuple[list[dict[str, Any]], str]:
    """The page of `size` rows and the token of the next; `rows` has one more where there is one."""
    shown = list(rows[:size])
    return shown, str(shown[-1][key]) if len(rows) > size else ""


def clean(token: str, field: str) -> str:
    """Text from a request as PostgreSQL takes it. Raises BadRequestError."""
    if "\x00" in token:
        raise BadRequestError(f"{field}: NUL cannot stand in it")
    return token
