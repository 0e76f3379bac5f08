"""Reads messages to send: a folder of .eml, .mbox and .jsonl files, or one such file.

Octets stay as they are but for line ends, which become CRLF, and mboxrd's quoting of From lines.
A JSONL line is {"content": …} or {"subject": …, "text": …, "html": …} ("html" may be absent).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from lab.demo.errors import DemoError

Sample = tuple[str, bytes]

# A From_ line begins a message at the start of the file or after an empty line (mbox(5)).
_FROM_LINE = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\r\n\r\n))From [^\n]*\n")
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_BARE_LF = re.compile(rb"(?<!\r)\n")


def read_samples(path: Path) -> list[Sample]:
    """(name, content) of every message, files in the order of their names.

    Raises DemoError when nothing is found or something cannot be read as a message.
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    samples = [sample for file in files if file.is_file() for sample in _read(file)]
    if not samples:
        raise DemoError(f"{path}: no .eml, .mbox or .jsonl file with a message in it")
    return samples


def _read(file: Path) -> Iterator[Sample]:
    try:
        octets = file.read_bytes()
    except OSError as error:
        raise DemoError(f"{file}: {error.strerror}") from error
    if file.suffix == ".eml":
        yield file.name, with_crlf(octets)
    elif file.suffix == ".jsonl":
        yield from _read_jsonl(file, octets)
    elif file.suffix in (".mbox", "") and octets.startswith(b"From "):
        for number, message in enumerate(split_mbox(octets), 1):
            yield f"{file.name}:{number}", message


def with_crlf(octets: bytes) -> bytes:
    """Every line ends with CRLF, the last one too."""
    fixed = _BARE_LF.sub(b"\r\n", octets)
    return fixed if fixed.endswith(b"\r\n") else fixed + b"\r\n"


def split_mbox(octets: bytes) -> Iterator[bytes]:
    """The messages of an mbox (mboxrd), with CRLF, without the empty line after each."""
    starts = list(_FROM_LINE.finditer(octets))
    ends = [start.start() for start in starts[1:]] + [len(octets)]
    for start, end in zip(starts, ends, strict=True):
        message = with_crlf(_QUOTED.sub(rb"\1", octets[start.end() : end]))
        yield message[:-2] if message.endswith(b"\r\n\r\n") else message


def _read_jsonl(file: Path, octets: bytes) -> Iterator[Sample]:
    for number, line in enumerate(octets.splitlines(), 1):
        if not line.strip():
            continue
        name = f"{file.name}:{number}"
        try:
            yield name, _from_json(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DemoError(f"{file} line {number}: no message ({error!r})") from error


def _from_json(entry: dict[str, str]) -> bytes:
    if "content" in entry:
        return with_crlf(entry["content"].encode("utf-8"))
    message = EmailMessage(policy=SMTP)
    message["To"] = entry["recipient"]
    message["Subject"] = entry["subject"]
    message.set_content(entry["text"], cte="8bit")
    if "html" in entry:
        message.add_alternative(entry["html"], subtype="html", cte="8bit")
    return message.as_bytes()
