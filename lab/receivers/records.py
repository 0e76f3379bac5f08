"""What a receiver saw, as it stands on disk: one JSON line per event, raw message beside it.

Layout of a provider's folder: `records.jsonl`, and `raw/<number>.eml` with the octets exactly as
they came over the wire after dot-unstuffing (RFC 5321 section 4.5.2). The line is written before
the reply, so what a client was told is always on record. One process writes, any may read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from io import TextIOWrapper
from pathlib import Path
from typing import Literal

from lab.receivers.errors import RecordError

# accepted: 250 after the dot. unanswered: kept, but the connection was cut before the reply.
# deferred, refused: the reply was 4yz, 5yz. dropped: cut, and nothing kept.
Kind = Literal["accepted", "unanswered", "deferred", "refused", "dropped"]
# Of these the receiver has the message.
KEPT = frozenset({"accepted", "unanswered"})


@dataclass(frozen=True)
class Record:
    """One recipient of one transaction, or one refusal of it.

    `at` is seconds since the epoch; `raw` is relative to the provider's folder, '' without content;
    `tls` is '' without TLS (else e.g. TLSv1.3); `reply` is what was answered, lines joined by LF;
    `options` are the parameters of MAIL FROM.
    """

    kind: Kind
    provider: str
    at: float
    source: str
    target: str
    helo: str
    tls: str
    cipher: str
    sender: str
    recipient: str
    stage: str
    why: str
    reply: str
    options: tuple[str, ...] = ()
    raw: str = ""
    size: int = 0
    sha256: str = ""


_NAMES = {field.name for field in fields(Record)}


class RecordWriter:
    """Appends records of one provider. Not for two processes at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._raw = folder / "raw"
        self._raw.mkdir(parents=True, exist_ok=True)
        self._number = sum(1 for _ in self._raw.iterdir())
        self._lines: TextIOWrapper = (folder / "records.jsonl").open("a", encoding="ascii")

    def keep(self, content: bytes) -> tuple[str, int, str]:
        """Writes the octets; returns (path relative to the folder, size, SHA-256 in hex)."""
        self._number += 1
        name = f"raw/{self._number:07d}.eml"
        (self._folder / name).write_bytes(content)
        return name, len(content), hashlib.sha256(content).hexdigest()

    def write(self, record: Record) -> None:
        """Appends the line and hands it to the kernel."""
        self._lines.write(json.dumps(asdict(record)) + "\n")
        self._lines.flush()

    def close(self) -> None:
        """Closes the file."""
        self._lines.close()


def read_records(folder: Path) -> Iterator[Record]:
    """All complete records of a provider's folder, in the order in which they were written.

    A last line without its end is one still being written, and is left out. Raises RecordError
    for a line that is no record.
    """
    path = folder / "records.jsonl"
    if not path.exists():
        return
    with path.open(encoding="ascii", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                return
            try:
                values = json.loads(line)
                values["options"] = tuple(values["options"])
                if values.keys() != _NAMES:
                    raise KeyError(f"fields {sorted(values.keys() ^ _NAMES)}")
                yield Record(**values)
            except (ValueError, TypeError, KeyError) as error:
                raise RecordError(f"{path} line {number}: {error!r}") from error
