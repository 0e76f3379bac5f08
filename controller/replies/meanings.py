"""The tables behind `classify`: IANA's registry of enhanced status codes, and their meaning to us.

`iana_status_codes.csv` is the registry's "Enumerated Status Codes" without its long descriptions
(https://www.iana.org/assignments/smtp-enhanced-status-codes, X.7.30 being the last);
`meanings.toml` is our reading of it. A test holds that every registered code has a meaning.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

_FILES = files("controller.replies")


class Scope(StrEnum):
    """What a failure is about, and so what could be done about it."""

    # This address, whoever writes to it.
    RECIPIENT = "recipient"
    # This message.
    CONTENT = "content"
    # Who sends: the address, name or domain is thought of as a source of spam.
    REPUTATION = "reputation"
    # A rule of the receiver that names no reputation: authentication, permission.
    POLICY = "policy"
    # Too much, too fast, full.
    CAPACITY = "capacity"
    # The way between the systems: routing, connection, protocol.
    NETWORK = "network"
    # The reply does not say.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StatusCode:
    """A registered code, without its class. `basic`: reply codes registered with it."""

    code: str
    summary: str
    basic: frozenset[int]
    scope: Scope
    only_temporary: bool


@dataclass(frozen=True, slots=True)
class Sign:
    """Words that say more than a code of one of the scopes `overrules`."""

    scope: Scope
    overrules: frozenset[Scope]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Meanings:
    """All tables. Codes by `1.1`, subjects by `1`, basic codes by 550."""

    codes: Mapping[str, StatusCode]
    subjects: Mapping[str, Scope]
    basic: Mapping[int, Scope]
    signs: tuple[Sign, ...]


def registry() -> list[dict[str, str]]:
    """The rows of the registry as they stand in the file."""
    with _FILES.joinpath("iana_status_codes.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def meanings() -> Meanings:
    """The tables, read once. Raises KeyError or ValueError where a file was broken by hand."""
    data = tomllib.loads(_FILES.joinpath("meanings.toml").read_text(encoding="utf-8"))
    codes = {}
    for row in registry():
        scope, *notes = data["codes"][row["Code"]]
        codes[row["Code"].removeprefix("X.")] = StatusCode(
            code=row["Code"],
            summary=row["Sample Text"],
            basic=frozenset(map(int, re.findall(r"\d{3}", row["Associated basic status code"]))),
            scope=Scope(scope),
            only_temporary="temporary" in notes,
        )
    return Meanings(
        codes,
        {subject: Scope(scope) for subject, scope in data["subjects"].items()},
        {int(code): Scope(scope) for code, scope in data["basic"].items()},
        tuple(
            Sign(Scope(s["scope"]), frozenset(map(Scope, s["overrules"])), tuple(s["words"]))
            for s in data["signs"]
        ),
    )
