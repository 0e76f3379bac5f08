"""The log's file and its rotated siblings: which of them comes next.

Rotation by rename and create (logrotate, `postfix logrotate`), by copy and truncate, compressed or
not, and plain truncation are understood. What cannot be found again is reported as a gap.
"""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from node_agent.agent.maillog.position import (
    FINGERPRINT_OCTETS,
    Position,
    begins_alike,
    fingerprint,
)

CHUNK_OCTETS = 128 * 1024


@dataclass(frozen=True, slots=True)
class Backlog:
    """Rotated files to read before the current one, oldest first, with the offset to begin at.

    `found`: the file of the position is among them (or is the current one).
    """

    files: tuple[tuple[Path, int], ...]
    found: bool


def backlog(log: Path, position: Position) -> Backlog:
    """What lies between `position` and the beginning of the current file `log`.

    Only for a position whose file is not the current one any more.
    """
    siblings = _rotated(log)
    for index, path in enumerate(siblings):
        if _is_of(path, position):
            rest = siblings[index + 1 :]
            return Backlog(((path, position.offset), *((p, 0) for p in rest)), found=True)
    return Backlog((), found=False)


def _is_of(path: Path, position: Position) -> bool:
    with suppress(OSError, EOFError, lzma.LZMAError), open_log(path) as file:
        if not begins_alike(file.read(FINGERPRINT_OCTETS), position):
            return False
        # The same beginning and at least as long: also a copy, also under a reused inode.
        file.seek(max(position.offset - 1, 0))
        return position.offset == 0 or bool(file.read(1))
    return False


def _rotated(log: Path) -> list[Path]:
    """mail.log.1, mail.log-20261121.gz, …, oldest first by time of last change."""
    dated: list[tuple[int, Path]] = []
    for path in log.parent.glob(log.name + "[.-]*"):
        with suppress(OSError):
            dated.append((path.stat().st_mtime_ns, path))
    dated.sort()
    return [path for _, path in dated]


def open_log(path: Path) -> BinaryIO:
    """Open a log file, compressed or not, for reading."""
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.open(path, "rb"))
    if path.suffix == ".xz":
        return cast("BinaryIO", lzma.open(path, "rb"))
    return path.open("rb", buffering=0)


def chunks_from(path: Path, offset: int, gap_ms: int) -> Iterator[tuple[bytes, Position]]:
    """Whole lines of a rotated file with the position behind them.

    The file does not grow any more, so its last line counts also without an end.
    """
    left = b""
    with open_log(path) as file:
        head = fingerprint(file.read(FINGERPRINT_OCTETS))
        file.seek(offset)
        while chunk := file.read(CHUNK_OCTETS):
            whole, newline, left = (left + chunk).rpartition(b"\n")
            if newline:
                offset += len(whole) + 1
                yield whole, Position(0, offset, *head, gap_ms)
    if left:
        yield left, Position(0, offset + len(left), *head, gap_ms)
