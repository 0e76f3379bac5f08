"""Faults of the controller's machine: its disk is full.

The lab's controller runs on the host; what can be filled is a file system of its own (kept in
memory) for its state directory, which holds the embedded PostgreSQL. Killing it, or PostgreSQL, is
`Process.signal`.
"""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

from lab.errors import FaultImpossible
from lab.lab import Lab

_FILLER = ".lab-fills-the-disk"


def small_disk(lab: Lab, mib: int) -> None:
    """Give the controller's state directory a disk of that size; before its first start."""
    place = _place(lab)
    place.mkdir(exist_ok=True)
    lab.traces.note("mount", str(place))
    options = f"size={mib}m,mode=755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "controller", str(place)], check=True)


def fill_disk(lab: Lab) -> None:
    """Leave not an octet. Raises FaultImpossible without `small_disk`."""
    place = _place(lab)
    if not place.is_mount():
        raise FaultImpossible(f"{place} is the host's disk; call small_disk() before it is used")
    file = os.open(place / _FILLER, os.O_CREAT | os.O_WRONLY, 0o600)
    free = os.statvfs(place)
    pages, size = free.f_bavail, 0
    try:
        # PostgreSQL writes on: what was free a moment ago may be less now.
        while pages:
            try:
                os.posix_fallocate(file, size, pages * free.f_frsize)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                pages //= 2
            else:
                size += pages * free.f_frsize
    finally:
        os.close(file)


def free_disk(lab: Lab) -> None:
    """Take the filling away; none there: nothing."""
    (_place(lab) / _FILLER).unlink(missing_ok=True)


def _place(lab: Lab) -> Path:
    return lab.directory / "controller"
