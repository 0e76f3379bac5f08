"""Starts processes that outlive us: own session, no terminal, output to a file.

They are ended by the lab's traces, not by this process's end, hence not subprocess.Popen, which
complains about what still runs when it is forgotten.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.traces import start_time


def start(
    argv: Sequence[str],
    output: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> tuple[int, str]:
    """Start it; returns pid and start time (proc(5)). `env` is added to our environment."""
    output.parent.mkdir(parents=True, exist_ok=True)
    words = [*(["env", f"--chdir={cwd}"] if cwd else []), *argv]
    pid = os.posix_spawnp(
        words[0],
        words,
        {**os.environ, **(env or {})},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        # Python ignores these; other programs must not inherit that
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
    )
    return pid, start_time(pid) or "0"
