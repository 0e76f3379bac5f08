"""Recipients' rows: CSV with a first line of column names, or JSONL with an object a line.

Reads one row at a time, whatever the size of the file; what is wrong with a row has its line and
column. Of an address twice the first row counts, the others are wrong: nobody gets a message twice.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO
from zoneinfo import ZoneInfo

from controller.campaigns.schema import Recipients
from controller.intake import address

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_MOST_CELL = 64 * 1024
_Scalar = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True)
class BadRow:
    """What is wrong with a row. `line` counts from 1; `column` is empty: the whole of it."""

    line: int
    column: str
    words: str

    def __str__(self) -> str:
        where = f"line {self.line}" + (f", column {self.column}" if self.column else "")
        return f"{where}: {self.words}"


class Row(NamedTuple):
    """A recipient. `zone`: their time zone, or ''. `values`: what the templates see."""

    line: int
    address: str
    zone: str
    values: dict[str, Any]


class BadFile(Exception):
    """The file as a whole cannot be read; the message says why and where."""


def opened(path: Path) -> TextIO:
    """The file as text. Raises BadFile."""
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise BadFile(f"cannot read {path}: {error.strerror or error}") from None


def columns_of(path: Path) -> tuple[str, ...]:
    """The names in a CSV's first line; of JSONL none, where each row has its own. Raises BadFile"""
    if is_jsonl(path):
        return ()
    with opened(path) as stream:
        try:
            return _header(next(csv.reader(stream, strict=True), []))
        except (csv.Error, UnicodeDecodeError) as error:
            raise BadFile(f"{path}: line 1: {error}") from None


def is_jsonl(path: Path) -> bool:
    """By its name."""
    return path.suffix.lower() in (".jsonl", ".ndjson")


def rows(path: Path, where: Recipients) -> Iterator[Row | BadRow]:
    """Every row, or what is wrong with it. Raises BadFile."""
    seen: dict[bytes, int] = {}
    with opened(path) as stream:
        try:
            reading = _jsonl(stream) if is_jsonl(path) else _csv(stream)
            for line, values in reading:
                yield values if isinstance(values, BadRow) else _row(line, values, where, seen)
        except UnicodeDecodeError as error:
            raise BadFile(f"{path} is not UTF-8 text: {error.reason}") from None


def _header(cells: list[str]) -> tuple[str, ...]:
    names = tuple(cell.strip() for cell in cells)
    if not any(names):
        raise BadFile("line 1 names no columns")
    for number, name in enumerate(names, 1):
        if not _NAME.fullmatch(name):
            better = re.sub(r"\W+", "_", name.strip().lower(), flags=re.ASCII).strip("_")
            hint = f", such as {better}" if _NAME.fullmatch(better) else ""
            raise BadFile(
                f"line 1, column {number}: {name!r} cannot be named in a template; "
                f"write letters, digits and _{hint}"
            )
        if names.index(name) != number - 1:
            raise BadFile(f"line 1, column {number}: {name!r} stands there twice")
    return names


def _csv(stream: TextIO) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    reader = csv.reader(stream, strict=True)
    names: tuple[str, ...] = ()
    line = 1
    try:
        for cells in reader:
            first, line = line, reader.line_num + 1
            if not names:
                names = _header(cells)
            elif len(cells) == len(names):
                yield first, dict(zip(names, cells, strict=True))
            elif any(cell.strip() for cell in cells):
                words = f"has {len(cells)} cells, the first line names {len(names)} columns"
                yield first, BadRow(first, "", words)
    except csv.Error as error:
        words = f"is no CSV: {error}; what follows was not read"
        yield line, BadRow(line, "", words)


def _jsonl(stream: Iterable[str]) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError as error:
            yield number, BadRow(number, "", f"is no JSON: {error}")
            continue
        yield number, _object(number, values)


def _object(number: int, values: Any) -> dict[str, Any] | BadRow:
    if not isinstance(values, dict):
        return BadRow(number, "", "must be a JSON object")
    for name, value in values.items():
        if not _NAME.fullmatch(name):
            return BadRow(number, name, "cannot be named in a template: letters, digits and _")
        single = value if isinstance(value, list) else [value]
        if not all(isinstance(each, _Scalar) for each in single):
            return BadRow(number, name, "must be text, a number, true, false, null or a list of it")
    return values


def _row(
    line: int, values: dict[str, Any], where: Recipients, seen: dict[bytes, int]
) -> Row | BadRow:
    for name, value in values.items():
        if isinstance(value, str) and len(value) > _MOST_CELL:
            return BadRow(line, name, f"has more than {_MOST_CELL:,} characters")
    text = values.get(where.address)
    if not isinstance(text, str) or not text.strip():
        return BadRow(line, where.address, "is empty; it is to hold the recipient's address")
    try:
        parsed = address.parse(text.strip())
    except address.MalformedAddress as error:
        return BadRow(line, where.address, str(error))
    zone = values.get(where.time_zone) if where.time_zone else ""
    if wrong := _wrong_zone(zone):
        return BadRow(line, where.time_zone or "", wrong)
    # Eight octets of a hash instead of the address: a million rows fit into little memory.
    mark = hashlib.blake2b(parsed.lower().encode(), digest_size=8).digest()
    first = seen.setdefault(mark, line)
    if first != line:
        return BadRow(line, where.address, f"{parsed} stands in line {first} already")
    return Row(line, parsed, str(zone or "").strip(), values)


_KNOWN_ZONES: dict[str, bool] = {}


def _wrong_zone(zone: Any) -> str:
    if not zone:
        return ""
    if not isinstance(zone, str):
        return f"{zone!r} must be text"
    name = zone.strip()
    if name not in _KNOWN_ZONES and len(_KNOWN_ZONES) < 10_000:
        try:
            ZoneInfo(name)
            _KNOWN_ZONES[name] = True
        except (OSError, ValueError, KeyError):
            _KNOWN_ZONES[name] = False
    if _KNOWN_ZONES.get(name):
        return ""
    return f"{name!r} is no time zone of the IANA database, such as Europe/Berlin"


def count_lines(path: Path) -> int:
    """About how many rows it has, for a progress bar. Raises BadFile."""
    try:
        with path.open("rb") as stream:
            return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
    except OSError as error:
        raise BadFile(f"cannot read {path}: {error.strerror or error}") from None
