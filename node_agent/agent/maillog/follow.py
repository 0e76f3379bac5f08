"""Reads Postfix's log as it grows: complete lines, each once, across rotation and restart.

Does not wait and does not interpret: `read` gives what is there now. A file that was renamed is
read to its end before the next one; when the current file was truncated, its copy is looked for.
When neither helps, lines may be lost: that moment is kept as the position's `gap_ms`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from node_agent.agent.maillog import files
from node_agent.agent.maillog.files import CHUNK_OCTETS
from node_agent.agent.maillog.position import (
    FINGERPRINT_OCTETS,
    Position,
    begins_alike,
    fingerprint,
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines, and the position behind them."""

    lines: tuple[str, ...]
    position: Position


class LogFile:
    """Follows `path` from `position`; None: from the beginning of what is there.

    The position of a chunk is the one to store when the chunk is dealt with; a reader made from it
    later goes on exactly there. `now_ms` is wall time.
    """

    def __init__(self, path: Path, position: Position | None, now_ms: Callable[[], int]) -> None:
        self._path = path
        self._position = position
        self._now_ms = now_ms
        self._descriptor: int | None = None
        # Rotated files still to be read, and the one being read.
        self._old: deque[tuple[Path, int]] = deque()
        self._old_chunks: Iterator[tuple[bytes, Position]] | None = None
        # The file of the position was read to its end before it was let go.
        self._read_whole = False
        # The current file turned out to be another one than before.
        self._turned = False
        self.gaps = 0

    @property
    def gap_ms(self) -> int:
        """When lines may have been lost last; 0: never."""
        return self._position.gap_ms if self._position else 0

    @property
    def missing(self) -> bool:
        """There was a log, and now there is none: its end cannot be known."""
        return self._position is not None and self._descriptor is None

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read(self) -> Chunk | None:
        """The next lines; None: there is nothing more for now (or no log at all)."""
        while True:
            chunk = self._read_old()
            if chunk is not None:
                return chunk
            if self._descriptor is None and not self._open():
                return None
            if self._old:
                continue
            # Looked at before reading: what the old file got before the new one was begun is read.
            moved_on = self._moved_on()
            chunk = self._read_current()
            if chunk is not None:
                return chunk
            if self._turned:
                self._turned = False
            elif moved_on:
                self._read_whole = True
                self.close()
            else:
                return None

    def _open(self) -> bool:
        """Open the current file and find out how it follows the position."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        self._descriptor = descriptor
        head = os.pread(descriptor, FINGERPRINT_OCTETS, 0)
        status = os.fstat(descriptor)
        position = self._position
        if position is None:
            self._position = self._beginning(0)
        elif begins_alike(head, position) and status.st_size >= position.offset:
            self._position = replace(position, inode=status.st_ino)
        else:
            self._look_back(position)
        return True

    def _look_back(self, position: Position) -> None:
        """The current file is not the one of `position`: find that one and what came after."""
        found = files.backlog(self._path, position)
        self._old.extend(found.files)
        read_whole, self._read_whole = self._read_whole, False
        if found.found or read_whole:
            self._position = self._beginning(position.gap_ms)
        else:
            self._lost()

    def _lost(self) -> None:
        self.gaps += 1
        self._position = self._beginning(self._now_ms())

    def _beginning(self, gap_ms: int) -> Position:
        assert self._descriptor is not None
        return Position(os.fstat(self._descriptor).st_ino, 0, *fingerprint(b""), gap_ms)

    def _read_old(self) -> Chunk | None:
        """The next lines of rotated files, each with the position within its own file."""
        while self._old or self._old_chunks is not None:
            if self._old_chunks is None:
                self._old_chunks = files.chunks_from(*self._old.popleft(), self.gap_ms)
            try:
                data, position = next(self._old_chunks)
            except StopIteration:
                self._old_chunks = None
            except (OSError, EOFError):
                self._old_chunks = None
                self._lost()
            else:
                return Chunk(_decoded(data), position)
        return None

    def _read_current(self) -> Chunk | None:
        descriptor, position = self._descriptor, self._position
        assert descriptor is not None
        assert position is not None
        head = os.pread(descriptor, FINGERPRINT_OCTETS, 0)
        if os.fstat(descriptor).st_size < position.offset or not begins_alike(head, position):
            self._look_back(position)
            self._turned = True
            return None
        data = os.pread(descriptor, CHUNK_OCTETS, position.offset)
        octets = data.rfind(b"\n") + 1
        if not octets:
            if len(data) < CHUNK_OCTETS:
                return None
            # No line of Postfix's is that long: taken in pieces, so that it stops nothing.
            octets = len(data)
        end = position.offset + octets
        self._position = Position(position.inode, end, *fingerprint(head[:end]), position.gap_ms)
        return Chunk(_decoded(data[:octets]), self._position)

    def _moved_on(self) -> bool:
        """Whether another file stands under the log's name and has been written to."""
        assert self._descriptor is not None
        try:
            current = self._path.stat()
        except FileNotFoundError:
            return False
        return current.st_ino != os.fstat(self._descriptor).st_ino and current.st_size > 0


def _decoded(data: bytes) -> tuple[str, ...]:
    # Copy-and-truncate under a writer without O_APPEND leaves a run of NULs.
    text = data.replace(b"\0", b"").decode("utf-8", "backslashreplace")
    return tuple(line for line in text.split("\n") if line)
