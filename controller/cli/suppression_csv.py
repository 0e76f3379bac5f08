"""Lists of suppressions as CSV: what `suppression import` reads and `suppression export` writes.

    recipient,client,reason,evidence,since

The first line names the columns, in any order; `recipient` must be among them. A file whose first
line is an address has one column and no such line. Every line is read before anything is sent, so
that all mistakes are told together. Memory holds the rows that were read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from postfleet.v1 import suppression_pb2

from controller.cli.mistake import Mistake
from controller.suppression.entry import BadEntry, Entry, entry

COLUMNS = ("recipient", "client", "reason", "evidence", "since")


def read(lines: Iterable[str], client: str, reason: str) -> Iterator[tuple[int, Entry] | Mistake]:
    """(line, entry) or a mistake for each line with something in it.

    `client` and `reason` stand where a row says none of its own.
    """
    rows = csv.reader(lines, strict=True)
    columns: tuple[str, ...] = ()
    try:
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns, is_row = _columns(cells)
                if unknown := sorted(set(columns) - set(COLUMNS)):
                    yield Mistake(rows.line_num, unknown[0], _about_columns())
                    return
                if not is_row:
                    continue
            yield _row(rows.line_num, cells, columns, client, reason)
    except csv.Error as error:
        yield Mistake(rows.line_num, "", f"is no CSV: {error}; the rest of the file was not read")


def _columns(cells: list[str]) -> tuple[tuple[str, ...], bool]:
    """The names of the columns, and whether the first line is a row already."""
    if "@" in cells[0]:
        return COLUMNS[: len(cells)], True
    names = tuple(cell.strip().lower().removeprefix("\ufeff") for cell in cells)
    return (names if "recipient" in names else (*names, "(recipient is missing)")), False


def _about_columns() -> str:
    return f"the columns are {', '.join(COLUMNS)}; recipient must be among them"


def _row(
    line: int, cells: list[str], columns: tuple[str, ...], client: str, reason: str
) -> tuple[int, Entry] | Mistake:
    if len(cells) > len(columns):
        return Mistake(line, "", f"has {len(cells)} cells, there are {len(columns)} columns")
    row = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
    since = None
    if text := row.get("since", ""):
        try:
            since = datetime.fromisoformat(text)
        except ValueError:
            return Mistake(line, "since", f"{text!r} is no time, as 2026-11-01T09:00:00+01:00")
    try:
        return line, entry(
            row.get("client") or client,
            row.get("recipient", ""),
            row.get("reason") or reason,
            row.get("evidence", ""),
            since,
        )
    except BadEntry as error:
        words = str(error)
        column = words.partition(":")[0]
        return Mistake(line, column if column in COLUMNS else "recipient", words)


def as_message(each: Entry) -> suppression_pb2.Suppression:
    """An entry as it is sent."""
    message = suppression_pb2.Suppression(
        client_id=each.client_id,
        recipient=each.recipient,
        reason=each.reason,
        evidence=each.evidence,
    )
    if each.since is not None:
        message.since.FromDatetime(each.since)
    return message


def write(rows: Iterable[suppression_pb2.Suppression], to: Any) -> int:
    """Writes the list with its first line; gives how many rows that were."""
    writer = csv.writer(to, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in rows:
        writer.writerow((row.recipient, row.client_id, row.reason, row.evidence, _time(row.since)))
        count += 1
    return count


def _time(stamp: Timestamp) -> str:
    return f"{stamp.ToJsonString()}"
