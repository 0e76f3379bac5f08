"""What the commands of `postfleet feedback` do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from postfleet.v1 import feedback_pb2
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from controller.cli.command import Session
from controller.cli.connection import Connection, connected
from controller.cli.exits import Exit
from controller.cli.failure import Failure
from controller.cli.feedback_file import mistake, read
from controller.cli.mistake import Mistake, tell
from controller.cli.output import as_data, moment, notes, number, print_json, print_table

_ROWS_PER_REQUEST = 5000
Line = tuple[int, feedback_pb2.Feedback]


def import_rows(session: Session, file: Path, dry_run: bool) -> None:
    """Reads the whole file, lets the controller check all of it, then has it taken.

    Raises Failure; with a bad row nothing was taken.
    """
    rows, mistakes = _read_file(file)
    with connected(session) as connection:
        sums, refused = _ask(connection, rows, "checked", True)
        mistakes = sorted([*mistakes, *refused], key=lambda each: each.line)
        if mistakes:
            tell(file, mistakes)
            raise Failure(
                Exit.REFUSED, f"{len(mistakes):,} rows are bad; nothing was taken. Mend them and "
                "import the file again",
            )  # fmt: skip
        if not dry_run:
            sums, refused = _ask(connection, rows, "taken", False)
            if refused:
                tell(file, refused)
                raise Failure(
                    Exit.REFUSED, "the fleet changed while the file was imported: rows before line "
                    f"{refused[0].line:,} may be taken; the same command again does the rest",
                )  # fmt: skip
    _show_sum(session, sums, dry_run)


def _ask(
    connection: Connection, rows: Sequence[Line], word: str, dry_run: bool
) -> tuple[dict[str, int], list[Mistake]]:
    """What all parts came to; of a dry run also with bad rows, else up to the first bad part."""
    sums = dict.fromkeys(("taken", "known", "suppressed"), 0)
    mistakes: list[Mistake] = []
    done = 0
    try:
        with _progress() as progress:
            task = progress.add_task(word, total=len(rows))
            for part in _parts(rows):
                request = feedback_pb2.TakeFeedbackRequest(
                    feedback=[row for _, row in part], dry_run=dry_run
                )
                reply = connection.ask("TakeFeedback", request)
                mistakes += [mistake(part[each.index][0], each.error) for each in reply.problems]
                if reply.problems and not dry_run:
                    break
                for name in sums:
                    sums[name] += getattr(reply, name)
                done += len(part)
                progress.update(task, completed=done)
    except KeyboardInterrupt:
        what = "nothing was" if dry_run else f"the first {done:,} of {len(rows):,} rows are"
        words = f"interrupted: {what} taken; the same command again does the rest"
        raise Failure(Exit.INTERRUPTED, words) from None
    return sums, mistakes


def _read_file(file: Path) -> tuple[list[Line], list[Mistake]]:
    rows: list[Line] = []
    mistakes: list[Mistake] = []
    try:
        stream = sys.stdin if str(file) == "-" else file.open(encoding="utf-8-sig", newline="")
        with stream:
            for each in read(stream):
                if isinstance(each, Mistake):
                    mistakes.append(each)
                else:
                    rows.append(each)
    except OSError as error:
        raise Failure(Exit.REFUSED, f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        words = f"{file} is not UTF-8 ({error.reason}); nothing was taken"
        raise Failure(Exit.REFUSED, words) from None
    return rows, mistakes


def _parts(rows: Sequence[Line]) -> Iterator[list[Line]]:
    left = iter(rows)
    while part := list(islice(left, _ROWS_PER_REQUEST)):
        yield part


def _show_sum(session: Session, sums: dict[str, int], dry_run: bool) -> None:
    if session.json:
        print_json({**sums, "dry_run": dry_run})
        return
    would = "would take" if dry_run else "took"
    print(
        f"{would} {number(sums['taken'])}, {number(sums['known'])} were on record before; "
        f"{number(sums['suppressed'])} recipients {'would be ' if dry_run else ''}suppressed by it"
    )


def show_rows(session: Session, request: Any, limit: int) -> None:
    """Prints a list."""
    with connected(session) as connection:
        rows = list(connection.pages("ListFeedback", request, "feedback", limit))
    if session.json:
        print_json([as_data(each) for each in rows])
        return
    print_table(
        ("message", "kind", "at (UTC)", "recipient", "mailbox", "told by", "evidence"),
        [
            (each.message_id, each.kind, moment(each, "at"), each.recipient, each.mailbox,
             each.told_by, each.evidence)
            for each in rows
        ],
        "nothing came back",
    )  # fmt: skip


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=notes(), transient=True,
    )  # fmt: skip
