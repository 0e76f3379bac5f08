"""What commands print: tables and details for people, JSON for programs.

JSON names are those of protos/postfleet/v1/fleet.proto; 64-bit numbers are numbers, times are
RFC 3339 in UTC or null, fields without a value are there too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Where nobody's terminal says how wide it is, rows stay whole.
_WIDE = 400


def console() -> Console:
    """Standard output; without colour and as wide as needed where that is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def notes() -> Console:
    """Standard error, for what is not the answer."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else _WIDE, highlight=False)


def print_json(data: Any) -> None:
    """One JSON document on standard output."""
    json.dump(data, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def as_data(message: Message) -> dict[str, Any]:
    """A protocol message as plain data, with every field."""
    return {field.name: _value(message, field) for field in message.DESCRIPTOR.fields}


def _value(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return dict(sorted(value.items()))
    if field.is_repeated:
        return [as_data(each) if isinstance(each, Message) else each for each in value]
    if isinstance(value, Timestamp):
        return time_text(value) if message.HasField(field.name) else None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Message):
        return as_data(value) if message.HasField(field.name) else None
    return value


def time_text(stamp: Timestamp) -> str:
    """RFC 3339, UTC, milliseconds."""
    return stamp.ToDatetime(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(message: Message, field: str) -> str:
    """A time for people: UTC, seconds; empty where there is none."""
    if not message.HasField(field):
        return ""
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(UTC).strftime("%Y-%m-%d %H:%M:%S")


def ago(message: Message, field: str) -> str:
    """How long ago a time was, for people."""
    if not message.HasField(field):
        return "never"
    stamp: Timestamp = getattr(message, field)
    seconds = int((datetime.now(UTC) - stamp.ToDatetime(UTC)).total_seconds())
    if seconds < 0:
        return f"in {span(-seconds)}"
    return f"{span(seconds)} ago"


def span(seconds: int) -> str:
    """A length of time in its two largest units."""
    for size, unit, small, small_unit in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            rest = seconds % size // small
            return (
                f"{seconds // size} {unit} {rest} {small_unit}"
                if rest
                else f"{seconds // size} {unit}"
            )
    return f"{seconds} s"


# Colours say at a glance what the word says anyway.
_STYLES = {
    "connected": "green", "active": "green", "sent": "green",
    "lost": "bold red", "suspended": "red", "bounced": "red", "expired": "red",
    "uncertain": "bold red", "fenced": "bold red", "cordoned": "yellow", "draining": "yellow",
    "drained": "yellow", "decommissioned": "dim",
    "retired": "dim", "new": "dim", "deferred": "yellow", "stopped": "red", "slowed": "yellow",
    "good": "green", "watch": "yellow", "paused": "red", "quarantined": "bold red",
}  # fmt: skip


def state(word: str) -> Text:
    """A state in its colour."""
    return Text(word, style=_STYLES.get(word, ""))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str | Text]], empty: str = "nothing"
) -> None:
    """A table; a column whose name begins with `#` holds numbers."""
    cells = list(rows)
    if not cells:
        notes().print(empty)
    elif sys.stdout.isatty():
        _print_rich_table(columns, cells)
    else:
        _print_plain_table(columns, [[str(cell) for cell in row] for row in cells])


def _print_rich_table(columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        right = name.startswith("#")
        table.add_column(
            name.removeprefix("#").upper(), justify="right" if right else "left", no_wrap=right
        )
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    console().print(table)


def _print_plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """For pipes: whole cells however long, no colours, nothing behind the last one."""
    heads = [name.removeprefix("#").upper() for name in columns]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    right = [name.startswith("#") for name in columns]
    for row in (heads, *rows):
        padded = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        print("  ".join(padded).rstrip())


def print_details(pairs: Iterable[tuple[str, str | Text]]) -> None:
    """Names and values below each other; pairs without a value are left out."""
    pairs = [(name, value) for name, value in pairs if str(value)]
    if not sys.stdout.isatty():
        width = max(len(name) for name, _ in pairs)
        for name, value in pairs:
            print(f"{name:<{width}}  " + str(value).replace("\n", "\n" + " " * (width + 2)))
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, Text(value) if isinstance(value, str) else value)
    console().print(table)


def number(count: int) -> str:
    """With thousands separated."""
    return f"{count:,}"
