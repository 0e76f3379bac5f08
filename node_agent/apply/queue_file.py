"""What a queue file of Postfix says about its message: sender, size, whether its delivery is over.

A queue file is a sequence of records: one octet of type, a length in groups of seven bits (lowest
first, the eighth bit: more follows), data. The envelope comes first: C (sizes), T, A, S (sender),
R or D (a recipient; D: Postfix is done with it), M (the message begins). Compared with postcat(1)
in the tests. Reads only, as root, what Postfix wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# The envelope of one message to one recipient has a few hundred octets.
_MOST_OCTETS = 256 * 1024


@dataclass(frozen=True, slots=True)
class QueueFile:
    """`done`: every recipient was delivered to or bounced; Postfix only has to remove the file."""

    sender: str
    # Octets of the content as Postfix keeps it: about those on the wire.
    size: int
    done: bool


class UnreadableError(Exception):
    """The file is damaged, or of a kind that this node does not make."""


def read(path: Path) -> QueueFile:
    """Read the envelope. Raises UnreadableError, or OSError where the file is gone."""
    with path.open("rb") as file:
        return parse(file.read(_MOST_OCTETS))


def parse(data: bytes) -> QueueFile:
    """Read the envelope at the beginning of `data`. Pure. Raises UnreadableError."""
    sender: str | None = None
    size = -1
    waiting = done = 0
    for kind, value in _records(data):
        if kind == b"C":
            size = _first_number(value)
        elif kind == b"S":
            sender = value.decode("utf-8", "replace")
        elif kind == b"R":
            waiting += 1
        elif kind == b"D":
            done += 1
        elif kind == b"p" and _first_number(value) != 0:
            raise UnreadableError("its envelope goes on elsewhere")
        elif kind == b"M":
            break
    else:
        raise UnreadableError("its envelope has no end")
    if sender is None or size < 0 or not waiting + done:
        raise UnreadableError("its envelope lacks sender, size or recipient")
    return QueueFile(sender, size, done=not waiting)


def _records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        kind = data[at : at + 1]
        at += 1
        length = shift = 0
        while True:
            if at >= len(data) or shift > 28:
                raise UnreadableError("it ends within a record")
            octet = data[at]
            at += 1
            length |= (octet & 0x7F) << shift
            if octet < 0x80:
                break
            shift += 7
        if at + length > len(data):
            raise UnreadableError("it ends within a record")
        yield kind, data[at : at + length]
        at += length


def _first_number(value: bytes) -> int:
    try:
        return int(value.split()[0])
    except (ValueError, IndexError) as error:
        raise UnreadableError("a number is none") from error
