"""postfleet message submit: reads, hands over, shows progress, sums up."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from postfleet.v1 import submission_pb2
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from controller.cli.command import Session
from controller.cli.connection import connected
from controller.cli.exits import Exit
from controller.cli.failure import Failure
from controller.cli.input import read_path, read_stream
from controller.cli.input_message import InputError, InputMessage
from controller.cli.outgoing import Choices, Outgoing, outgoing
from controller.cli.output import notes
from controller.cli.submission import Answer, Submission

_MOST_SHOWN = 20
_WORDS = {
    submission_pb2.SUBMIT_STATUS_ACCEPTED: "accepted",
    submission_pb2.SUBMIT_STATUS_DUPLICATE: "duplicate",
    submission_pb2.SUBMIT_STATUS_REJECTED: "rejected",
}


def submit(session: Session, path: str, kind: str, choices: Choices, dry_run: bool) -> None:
    """The whole command. Raises Failure, with Exit.REFUSED where a message was rejected."""
    counts: Counter[str] = Counter()
    messages = outgoing(_inputs(path, kind), choices)
    try:
        if dry_run:
            _count(session, messages)
            return
        with connected(session) as connection:
            submission = Submission(connection, messages)
            try:
                _show(session, submission.answers(), counts)
            except KeyboardInterrupt:
                unanswered = submission.unanswered
                raise Failure(Exit.INTERRUPTED, _interrupted(counts, unanswered)) from None
            except Failure as failure:
                words = f"{failure}\n{_interrupted(counts, submission.unanswered)}"
                raise Failure(failure.exit_code, words) from None
    except InputError as error:
        words = f"{error}. {_so_far(counts)}"
        raise Failure(Exit.REFUSED, words) from None
    _sum(session, counts)
    if counts["rejected"]:
        raise Failure(Exit.REFUSED, f"{counts['rejected']:,} messages were rejected")


def _inputs(path: str, kind: str) -> Iterator[InputMessage]:
    if path == "-":
        if sys.stdin.isatty():
            notes().print("reading a message from the terminal; Ctrl-D ends it")
        return read_stream(sys.stdin.buffer, "stdin", kind)
    return read_path(Path(path), kind)


def _count(session: Session, messages: Iterator[Outgoing]) -> None:
    octets, count = 0, 0
    for message in messages:
        count += 1
        octets += len(message.content)
    if session.json:
        print(json.dumps({"dry_run": True, "messages": count, "octets": octets}))
    else:
        print(f"would submit {count:,} messages of {octets:,} octets together")


def _show(session: Session, answers: Iterator[Answer], counts: Counter[str]) -> None:
    """Results as they come: JSON lines for programs; for people progress, and what was rejected."""
    columns = (TextColumn("submitting"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=notes(), disable=not sys.stderr.isatty(), transient=True
    ) as bar:
        task = bar.add_task("submit", total=None)
        for message, result in answers:
            word = _WORDS.get(result.status, "unknown")
            counts[word] += 1
            bar.advance(task)
            if session.json:
                print(json.dumps(_line(message, result, word), ensure_ascii=False))
            elif word == "rejected" and counts[word] <= _MOST_SHOWN:
                notes().print(_complaint(message, result), markup=False)


def _line(message: Outgoing, result: submission_pb2.SubmitResult, word: str) -> dict[str, str]:
    return {
        "source": message.source,
        "recipient": message.recipient,
        "idempotency_key": message.key,
        "status": word,
        "message_id": result.message_id,
        "code": result.code,
        "error": result.error,
    }


def _complaint(message: Outgoing, result: submission_pb2.SubmitResult) -> str:
    return f"rejected: {message.source} to {message.recipient}: {result.code}: {result.error}"


def _sum(session: Session, counts: Counter[str]) -> None:
    if session.json:
        return
    print(_totals(counts))
    if counts["duplicate"]:
        print(
            "Duplicates are the same messages as before (same idempotency key) and were not "
            "accepted twice; --again WORD submits them once more on purpose."
        )


def _totals(counts: Counter[str]) -> str:
    parts = [f"{counts['accepted']:,} accepted"]
    parts += [f"{counts[word]:,} {word}" for word in ("duplicate", "rejected") if counts[word]]
    return ", ".join(parts)


def _so_far(counts: Counter[str]) -> str:
    if not counts:
        return "Nothing was submitted"
    return f"What stood before it was submitted: {_totals(counts)}"


def _interrupted(counts: Counter[str], unanswered: int) -> str:
    return (
        f"{_totals(counts)}; {unanswered:,} were sent and not answered, and may be accepted. "
        "Run the same command again: what is there already is not accepted twice"
    )
