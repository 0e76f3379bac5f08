"""Room kept back so that outcomes can be recorded on a full disk.

A preallocated file beside the database. When the disk is full its room is given up; it is taken
again when there is plenty. While it is given up, no new work is accepted.
"""

from __future__ import annotations

import os
from pathlib import Path


class Reserve:
    """`octets` in the file `path`; 0 octets: no reserve at all."""

    def __init__(self, path: Path, octets: int) -> None:
        self._path = path
        self._octets = octets

    def held(self) -> bool:
        """Whether the room is there (blocks are allocated, not only promised)."""
        if not self._octets:
            return True
        try:
            return self._path.stat().st_blocks * 512 >= self._octets
        except FileNotFoundError:
            return False

    @property
    def missing(self) -> int:
        """Octets that it would take to have it."""
        return 0 if self.held() else self._octets

    def shares_disk(self, path: Path) -> bool:
        """Whether what it gives up is room for this file, too."""
        return self._path.parent.stat().st_dev == path.parent.stat().st_dev

    def release(self) -> bool:
        """Give the room up; False where there was none left to give."""
        if not self._octets or not self.held():
            return False
        os.truncate(self._path, 0)
        return True

    def restore(self) -> bool:
        """Take the room again where some more than that is free. True where it is held."""
        if self.held():
            return True
        if free_octets(self._path.parent) < self._octets + self._octets // 4:
            return False
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self._octets)
        except OSError:
            os.ftruncate(descriptor, 0)
            return False
        finally:
            os.close(descriptor)
        return True


def free_octets(directory: Path) -> int:
    """What an unprivileged process may still write on the file system of `directory`."""
    statistics = os.statvfs(directory)
    return statistics.f_bavail * statistics.f_frsize
