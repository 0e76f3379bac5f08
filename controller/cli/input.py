"""Reads messages to submit: a folder, a single file, or standard input; one at a time.

    .eml            one message (RFC 5322)
    .mbox           mboxrd: a `From ` line begins a message, `>From ` in it is unquoted
    .jsonl .ndjson  one JSON object a line; see `jsonl`
    a folder        all of these below it, in the order of their names

A file of another name, and standard input, is told by its first octets. Line ends become CRLF, a
missing last one is added; nothing else of a message is touched. Memory holds one message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from controller.cli.input_message import InputError, InputMessage, with_crlf
from controller.cli.jsonl import from_json

SUFFIXES = {".eml": "eml", ".mbox": "mbox", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_QUOTED_FROM = re.compile(rb">+From ")


def read_path(path: Path, kind: str = "") -> Iterator[InputMessage]:
    """All messages of a file, or of the files below a folder that have a known suffix.

    `kind` (eml, mbox, jsonl) says what a file is, whatever its name. Raises InputError.
    """
    if not path.is_dir():
        yield from _read_file(path, path.name, kind)
        return
    files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    if not files:
        raise InputError(str(path), 0, f"no file below it ends in {', '.join(SUFFIXES)}")
    for file in files:
        yield from _read_file(file, str(file.relative_to(path)), kind)


def read_stream(stream: BinaryIO, name: str, kind: str = "") -> Iterator[InputMessage]:
    """All messages of an open binary file. Raises InputError."""
    lines = iter(stream)
    first = next(lines, b"")
    if not first:
        raise InputError(name, 0, "is empty")
    kind = kind or _kind(first)
    whole = _chain(first, lines)
    if kind == "mbox":
        yield from _mbox(whole, name)
    elif kind == "jsonl":
        for number, line in enumerate(whole, 1):
            if line.strip():
                yield from_json(line, name, number)
    else:
        yield InputMessage(name, with_crlf(b"".join(whole)))


def _read_file(file: Path, name: str, kind: str) -> Iterator[InputMessage]:
    try:
        with file.open("rb") as stream:
            yield from read_stream(stream, name, kind or SUFFIXES.get(file.suffix, ""))
    except OSError as error:
        raise InputError(name, 0, f"cannot read it: {error.strerror}") from None


def _kind(first: bytes) -> str:
    if first.startswith(b"From "):
        return "mbox"
    return "jsonl" if first.lstrip().startswith(b"{") else "eml"


def _chain(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _mbox(lines: Iterable[bytes], name: str) -> Iterator[InputMessage]:
    """mboxrd, as qmail's mbox(5) describes it."""
    message: list[bytes] = []
    count = 0
    after_empty = True
    for line in lines:
        if after_empty and line.startswith(b"From "):
            if count:
                yield _from_mbox(message, name, count)
            elif message:
                raise InputError(name, 1, "an mbox begins with a line `From …`")
            message, count, after_empty = [], count + 1, False
            continue
        after_empty = line in (b"\n", b"\r\n")
        message.append(line[1:] if _QUOTED_FROM.match(line) else line)
    if not count:
        raise InputError(name, 1, "an mbox begins with a line `From …`")
    yield _from_mbox(message, name, count)


def _from_mbox(lines: list[bytes], name: str, number: int) -> InputMessage:
    # The empty line before the next `From ` is the mbox's, not the message's.
    if lines and lines[-1] in (b"\n", b"\r\n"):
        lines.pop()
    return InputMessage(f"{name}:{number}", with_crlf(b"".join(lines)))
