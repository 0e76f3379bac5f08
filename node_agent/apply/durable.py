"""File system steps that survive kill -9 and power loss: each is done or not done, never half.

A rename is atomic, and durable once the directory is synced; data is synced before it is renamed.
"""

from __future__ import annotations

import grp
import os
import shutil
from pathlib import Path


def write_new(path: Path, content: bytes, mode: int, group: str = "root") -> None:
    """Write a file that must not exist yet, with exactly this mode and group; parents are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if os.geteuid() == 0:
            os.fchown(descriptor, 0, grp.getgrnam(group).gr_gid)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)


def replace(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace a file in one instant."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    write_new(beside, content, mode)
    beside.rename(path)
    sync(path.parent)


def point(link: Path, target: str) -> None:
    """Make `link` a symbolic link to `target` in one instant, whatever file it was before."""
    beside = link.with_name(f".{link.name}.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.rename(link)
    sync(link.parent)


def remove(path: Path) -> None:
    """Remove a file, link or tree; it may be gone already."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync(path.parent)


def sync_tree(directory: Path) -> None:
    """Sync a directory, all files and all directories below it."""
    for path in directory.rglob("*"):
        sync(path)
    sync(directory)


def sync(path: Path) -> None:
    """fsync a file or directory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
