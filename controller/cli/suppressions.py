"""What the commands of `postfleet suppression` do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from postfleet.v1 import suppression_pb2
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from controller.cli.command import Session
from controller.cli.connection import Connection, connected
from controller.cli.exits import Exit
from controller.cli.failure import Failure
from controller.cli.mistake import Mistake, tell
from controller.cli.output import as_data, moment, notes, number, print_json, print_table
from controller.cli.suppression_csv import as_message, read, write
from controller.suppression.entry import Entry

_ROWS_PER_REQUEST = 5000
_MOST_SHOWN = 20


def add_rows(session: Session, rows: Sequence[Entry], dry_run: bool) -> None:
    """Adds some, all of them or none. Raises Failure that names what cannot be added."""
    with connected(session) as connection:
        reply = _add(connection, rows, dry_run)
    if reply.problems:
        words = "\n".join(f"{rows[each.index].recipient}: {each.error}" for each in reply.problems)
        raise Failure(Exit.REFUSED, f"{words}\nNothing was changed.")
    _sum(session, reply.added, reply.present, 0, dry_run)


def import_rows(
    session: Session, file: Path, client: str, reason: str, skip_bad: bool, dry_run: bool
) -> None:
    """Reads the whole list, then adds it part by part. Raises Failure."""
    rows, mistakes = _read_file(file, client, reason)
    tell(file, mistakes)
    if mistakes and not skip_bad:
        raise Failure(
            Exit.REFUSED,
            f"{len(mistakes):,} of {len(rows) + len(mistakes):,} lines are bad; nothing was "
            "imported. --skip-bad imports the others",
        )
    added = present = sent = 0
    try:
        with connected(session) as connection, _progress() as progress:
            task = progress.add_task("imported", total=len(rows))
            for part in _parts(rows):
                reply = _add(connection, [each for _, each in part], dry_run)
                if reply.problems:
                    raise Failure(Exit.REFUSED, _refused(file, part, reply, sent))
                added, present = added + reply.added, present + reply.present
                sent += len(part)
                progress.update(task, completed=sent)
    except KeyboardInterrupt:
        raise Failure(
            Exit.INTERRUPTED,
            f"interrupted: the first {sent:,} of {len(rows):,} rows are imported; the same command "
            "again does the rest",
        ) from None
    _sum(session, added, present, len(mistakes), dry_run)


def remove_rows(
    session: Session, recipients: Sequence[str], client: str, reason: str, dry_run: bool
) -> None:
    """Removes some. Raises Failure where one of them is not there."""
    request = suppression_pb2.RemoveSuppressionsRequest(
        client_id=client, recipients=recipients, reason=reason, dry_run=dry_run
    )
    with connected(session) as connection:
        removed = connection.ask("RemoveSuppressions", request).removed
    whom = client or "every client"
    if session.json:
        print_json({"removed": [as_data(each) for each in removed], "dry_run": dry_run})
    else:
        would = "would remove" if dry_run else "removed"
        print(f"{would} {len(removed):,} of {len(recipients):,} for {whom}")
    if len(removed) < len(recipients):
        raise Failure(
            Exit.NOT_FOUND,
            f"{len(recipients) - len(removed):,} are not suppressed for {whom}; "
            "`postfleet suppression check` says for whom they are",
        )


def show_rows(session: Session, request: Any, limit: int) -> None:
    """Prints a list."""
    with connected(session) as connection:
        rows = list(connection.pages("ListSuppressions", request, "suppressions", limit))
    _print(session, rows, "nobody is suppressed")


def check_rows(session: Session, recipients: Sequence[str], client: str) -> None:
    """Prints what names these recipients. Exit code 1 where something does."""
    request = suppression_pb2.CheckSuppressionsRequest(client_id=client, recipients=recipients)
    with connected(session) as connection:
        rows = connection.ask("CheckSuppressions", request).suppressions
    _print(session, rows, f"nothing stands between {client or 'any client'} and them")
    if rows:
        raise Failure(Exit.REFUSED, f"{len(rows):,} suppressions name them")


def export_rows(session: Session, file: Path, request: Any) -> None:
    """Writes the list; a file only when it is whole."""
    with connected(session) as connection:
        rows = connection.pages("ListSuppressions", request, "suppressions")
        if str(file) == "-":
            write(rows, sys.stdout)
            return
        fresh = file.with_name(f".{file.name}.new")
        try:
            with fresh.open("w", encoding="utf-8", newline="") as to:
                count = write(rows, to)
                to.flush()
                os.fsync(to.fileno())
            fresh.rename(file)
        except OSError as error:
            words = f"cannot write {error.filename}: {error.strerror}; {file} is as it was"
            raise Failure(Exit.REFUSED, words) from None
        finally:
            fresh.unlink(missing_ok=True)
    if session.json:
        print_json({"exported": count, "file": str(file)})
    else:
        print(f"exported {count:,} suppressions to {file}")


def _read_file(
    file: Path, client: str, reason: str
) -> tuple[list[tuple[int, Entry]], list[Mistake]]:
    rows: list[tuple[int, Entry]] = []
    mistakes: list[Mistake] = []
    try:
        stream = sys.stdin if str(file) == "-" else file.open(encoding="utf-8-sig", newline="")
        with stream:
            for each in read(stream, client, reason):
                if isinstance(each, Mistake):
                    mistakes.append(each)
                else:
                    rows.append(each)
    except OSError as error:
        raise Failure(Exit.REFUSED, f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Failure(
            Exit.REFUSED, f"{file} is not UTF-8 ({error.reason}); nothing was imported"
        ) from None
    return rows, mistakes


def _add(connection: Connection, rows: Sequence[Entry], dry_run: bool) -> Any:
    request = suppression_pb2.AddSuppressionsRequest(
        suppressions=map(as_message, rows), dry_run=dry_run
    )
    return connection.ask("AddSuppressions", request)


def _parts(rows: Sequence[tuple[int, Entry]]) -> Iterator[list[tuple[int, Entry]]]:
    left = iter(rows)
    while part := list(islice(left, _ROWS_PER_REQUEST)):
        yield part


def _refused(file: Path, part: Sequence[tuple[int, Entry]], reply: Any, sent: int) -> str:
    shown = [f"{file}: line {part[p.index][0]}: {p.error}" for p in reply.problems[:_MOST_SHOWN]]
    if len(reply.problems) > _MOST_SHOWN:
        shown.append(f"… and {len(reply.problems) - _MOST_SHOWN:,} more")
    return "\n".join([*shown, f"{sent:,} rows before them are imported, the others are not."])


def _sum(session: Session, added: int, present: int, bad: int, dry_run: bool) -> None:
    if session.json:
        print_json({"added": added, "present": present, "bad": bad, "dry_run": dry_run})
        return
    would = "would add" if dry_run else "added"
    skipped = f", {number(bad)} bad lines were skipped" if bad else ""
    print(f"{would} {number(added)}, {number(present)} were suppressed before{skipped}")


def _print(session: Session, rows: Sequence[Any], empty: str) -> None:
    if session.json:
        print_json([as_data(each) for each in rows])
        return
    print_table(
        ("recipient", "client", "reason", "since (UTC)", "evidence"),
        [
            (each.recipient, each.client_id or "every client", each.reason, moment(each, "since"),
             each.evidence)
            for each in rows
        ],
        empty,
    )  # fmt: skip


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=notes(), transient=True,
    )  # fmt: skip
