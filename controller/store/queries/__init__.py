"""Loads named, described queries from the .sql files of this folder.

Form of a file: any number of

    -- query_name --
    -- At least one line that says what the query does or gives.
    SELECT …

Parameters are %(name)s; long arrays of text are %(name)b, which sends them in binary: escaping each
element takes four times as long.

Does not parse SQL: whether a query fits the schema is what tests/controller/store proves, by
preparing every query of every file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from controller.store.errors import QueryFileInvalid

_NAME = re.compile(r"^-- ([a-z][a-z0-9_]*) --$", re.MULTILINE)
_PARAMETER = re.compile(r"%\(([a-z][a-z0-9_]*)\)[sb]")


@dataclass(frozen=True, slots=True)
class Query:
    """One statement. `parameters` are the names it takes, in the order of first appearance."""

    area: str
    name: str
    description: str
    sql: str
    parameters: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.area}.{self.name}"


def areas() -> list[str]:
    """The names for which `load` finds a file."""
    return sorted(f.name.removesuffix(".sql") for f in files(__name__).iterdir()
                  if f.name.endswith(".sql"))  # fmt: skip


@cache
def load(area: str) -> Mapping[str, Query]:
    """The queries of controller/store/queries/<area>.sql by name.

    Raises QueryFileInvalid where a query has no description, no text, or a name twice.
    """
    source = files(__name__).joinpath(f"{area}.sql")
    if not source.is_file():
        raise QueryFileInvalid(f"no file {area}.sql; there are: {', '.join(areas())}")
    return MappingProxyType(parse(area, source.read_text(encoding="utf-8")))


def parse(area: str, text: str) -> dict[str, Query]:
    """The queries of a file's text; see the module for its form."""
    parts = _NAME.split(text)
    queries: dict[str, Query] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if name in queries:
            raise QueryFileInvalid(f"{area}.sql: query {name} stands there twice")
        lines = body.strip().splitlines()
        described = 0
        while described < len(lines) and lines[described].startswith("--"):
            described += 1
        sql = "\n".join(lines[described:]).strip().removesuffix(";")
        if not described or not sql:
            raise QueryFileInvalid(f"{area}.sql: query {name} lacks a description or a statement")
        description = " ".join(line.removeprefix("--").strip() for line in lines[:described])
        parameters = tuple(dict.fromkeys(_PARAMETER.findall(sql)))
        queries[name] = Query(area, name, description, sql, parameters)
    if not queries:
        raise QueryFileInvalid(f"{area}.sql: no query in it")
    return queries
