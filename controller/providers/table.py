"""Which provider an MX host belongs to. Pure but for reading the files.

A pattern is a host's name or `*.` and the end of one; the longest that fits decides. A host that no
pattern names is a *receiver* of its own, called by its name without the first label
(mx1.mail.example.net and mx2.mail.example.net are `mail.example.net`), so that what one small
receiver says is never held against all other small ones. Their provider is `other`: providers are
few, receivers are many. Names in the table have no dot; that tells them apart.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

UNKNOWN = "unknown"
"""The provider of a message whose domain was not looked up, or could not be."""
OTHER = "other"
"""The provider of every receiver that is not in the table."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_PATTERN = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?")


class TableError(Exception):
    """The provider table cannot be used: its file, and every reason."""


@dataclass(frozen=True)
class ProviderTable:
    """Patterns by provider's name."""

    patterns: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """All providers, by name."""
        return tuple(sorted(set(self.patterns.values())))

    def of_host(self, host: str) -> str:
        """The receiver behind an MX host: a provider's name, or a name with a dot in it."""
        name = host.rstrip(".").lower()
        if name in self.patterns:
            return self.patterns[name]
        rest = name
        while rest:
            rest = rest.partition(".")[2]
            if f"*.{rest}" in self.patterns:
                return self.patterns[f"*.{rest}"]
        above = name.partition(".")[2]
        return above if "." in above else name if "." in name else OTHER

    def label(self, receiver: str) -> str:
        """Its provider: one of the table's names, `other` or `unknown`; few enough for metrics."""
        return receiver if receiver in self.names or receiver == UNKNOWN else OTHER


def provider_of(receiver: str) -> str:
    """The same without the table: receivers that are in none have a dot in their names."""
    return OTHER if "." in receiver else receiver


def open_table(own: Path | None = None) -> ProviderTable:
    """The shipped table with an operator's over it. Raises TableError."""
    text = files("controller.providers").joinpath("mx.toml").read_text(encoding="utf-8")
    patterns = _parse(text, "shipped providers")
    if own is not None:
        try:
            patterns |= _parse(own.read_text(encoding="utf-8"), str(own))
        except OSError as error:
            raise TableError(f"{own}: cannot read it: {error.strerror}") from None
        except UnicodeDecodeError:
            raise TableError(f"{own}: is not UTF-8 text") from None
    return ProviderTable(patterns)


def _parse(text: str, file: str) -> dict[str, str]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TableError(f"{file}: not TOML: {error}") from None
    wrong = [f"{file}: {words}" for words in _mistakes(data)]
    if wrong:
        raise TableError("\n".join(wrong))
    return {host: name for name, entry in data.items() for host in entry["mx"]}


def _mistakes(data: Mapping[str, Any]) -> Iterable[str]:
    seen: dict[str, str] = {}
    for name, entry in data.items():
        if not _NAME.fullmatch(name) or name in (UNKNOWN, OTHER):
            yield f"[{name}]: a provider is 1 to 31 of a-z, 0-9 and -, and not {UNKNOWN} or {OTHER}"
        hosts = entry.get("mx") if isinstance(entry, dict) else None
        if not isinstance(hosts, list) or not hosts:
            yield f"[{name}]: mx must list host names, such as mx = ['*.example.net']"
            continue
        for host in hosts:
            if not isinstance(host, str) or not _PATTERN.fullmatch(host):
                yield f"[{name}]: mx {host!r}: a host name, or *. and the end of one, small letters"
            elif seen.setdefault(host, name) != name:
                yield f"[{name}]: mx {host!r} stands at [{seen[host]}] already"
