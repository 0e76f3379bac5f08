"""Files of feedback: what `feedback import` reads.

    kind,message,recipient,mailbox,at,evidence          CSV; the first line names the columns
    {"kind": "reply", "message": "01hv…"}               JSON, one object a line, the same fields

`kind` and either `message` or both of `recipient` and `mailbox` are needed. Every line is read
before anything is sent, so that all mistakes are told together. Memory holds the rows that were
read.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain

from postfleet.v1 import feedback_pb2

from controller.cli.mistake import Mistake
from controller.feedback.entry import BadEntry, entry

COLUMNS = ("kind", "message", "recipient", "mailbox", "at", "evidence")
Read = tuple[int, feedback_pb2.Feedback] | Mistake


def read(lines: Iterable[str]) -> Iterator[Read]:
    """(line, row) or a mistake for each line with something in it."""
    left = iter(lines)
    first = next(left, "")
    whole = chain((first,), left)
    is_json = first.lstrip("\ufeff \t").startswith("{")
    yield from _json(whole) if is_json else _csv(whole)


def _json(lines: Iterable[str]) -> Iterator[Read]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.lstrip("\ufeff"))
        except ValueError as error:
            yield Mistake(number, "", f"not JSON: {error}")
            continue
        yield _checked(number, row)


def _checked(number: int, row: object) -> Read:
    if not isinstance(row, dict):
        return Mistake(number, "", "must be a JSON object")
    for field, value in row.items():
        if field not in COLUMNS:
            return Mistake(number, field, f"unknown; there are {', '.join(COLUMNS)}")
        if not isinstance(value, str):
            return Mistake(number, field, f"{value!r}: must be text")
    return _row(number, row)


def _csv(lines: Iterable[str]) -> Iterator[Read]:
    rows = csv.reader(lines, strict=True)
    columns: tuple[str, ...] = ()
    try:
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            if columns:
                yield _cells(rows.line_num, cells, columns)
                continue
            columns = tuple(cell.strip().lower().removeprefix("\ufeff") for cell in cells)
            if wrong := _wrong_columns(columns):
                yield Mistake(rows.line_num, *wrong)
                return
    except csv.Error as error:
        yield Mistake(rows.line_num, "", f"is no CSV: {error}; the rest of the file was not read")


def _wrong_columns(columns: tuple[str, ...]) -> tuple[str, str] | None:
    if unknown := sorted(set(columns) - set(COLUMNS)):
        return unknown[0], f"unknown; the first line names columns of {', '.join(COLUMNS)}"
    if len(set(columns)) < len(columns):
        return "", "a column stands there twice"
    if "kind" not in columns:
        return "kind", "is missing"
    if "message" not in columns and not {"recipient", "mailbox"} <= set(columns):
        return "message", "is missing, and so is one of recipient and mailbox"
    return None


def _cells(line: int, cells: list[str], columns: tuple[str, ...]) -> Read:
    if len(cells) > len(columns):
        return Mistake(line, "", f"has {len(cells)} cells, there are {len(columns)} columns")
    return _row(line, dict(zip(columns, cells, strict=False)))


def _row(line: int, row: dict[str, str]) -> Read:
    """The row as it is sent; checked as the controller will, so that it is told at once."""
    at = None
    if text := row.get("at", "").strip():
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return Mistake(line, "at", f"{text!r} is no time, as 2026-11-01T09:00:00+01:00")
    message = feedback_pb2.Feedback(
        kind=row.get("kind", "").strip().lower(),
        message_id=row.get("message", "").strip(),
        recipient=row.get("recipient", "").strip(),
        mailbox=row.get("mailbox", "").strip(),
        evidence=row.get("evidence", ""),
    )
    try:
        entry(
            message.kind, message.message_id, message.recipient, message.mailbox, at,
            message.evidence, datetime.now(UTC),
        )  # fmt: skip
    except BadEntry as error:
        return mistake(line, str(error))
    if at is not None:
        message.at.FromDatetime(at)
    return line, message


def mistake(line: int, words: str) -> Mistake:
    """What the checks say (`field: …`), at its line and column."""
    column, _, rest = words.partition(": ")
    return Mistake(line, column, rest) if column in COLUMNS else Mistake(line, "", words)
