"""Postfix's log, as far as apply needs it: it exists, its owner is right, what was added to it.

postlogd(8) of 3.7 makes the file 0600, which the agent could not read; so it is there before
Postfix starts. Following the log is the agent's work.
"""

from __future__ import annotations

import grp
import os
from pathlib import Path

from node_agent.apply.layout import AGENT_USER, Layout

# A probe's and a reload's lines come within the last of these.
_TAIL_OCTETS = 1024 * 1024


def provide(layout: Layout) -> None:
    """Make the log and its directory where missing; set owner and mode (0640 root:agent)."""
    group = grp.getgrnam(AGENT_USER).gr_gid
    directory = layout.mail_log.parent
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    os.chown(directory, 0, group)
    directory.chmod(0o750)
    descriptor = os.open(layout.mail_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW)
    try:
        os.fchown(descriptor, 0, group)
        os.fchmod(descriptor, 0o640)
    finally:
        os.close(descriptor)


def size(path: Path) -> int:
    """Return the log's size in octets, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def added_since(path: Path, offset: int) -> str:
    """Return what was written after `offset` (at most the last 1 MiB); all of a rotated log."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            start = offset if offset <= end else 0
            file.seek(max(start, end - _TAIL_OCTETS))
            return file.read(_TAIL_OCTETS).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
