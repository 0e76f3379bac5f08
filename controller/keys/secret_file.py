"""Writes files that hold secrets: complete or not at all, and never readable by others meanwhile.

The new content is written beside the old with mode 0600, flushed to disk, and renamed over it.
Does not encrypt; what must be encrypted is sealed before (`controller.keys.sealing`).
"""

from __future__ import annotations

import os
from pathlib import Path


def write_secret(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Puts `data` at `path`, atomically and durably; the folder must exist."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        fresh.rename(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def make_private_folder(path: Path) -> None:
    """Makes `path` (parents too) with mode 0700; leaves an existing one as it is."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
