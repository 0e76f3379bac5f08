"""The cgroup (version 2) that holds one node: to freeze it, and to end all of it at one stroke.

Each node needs one of its own: two systemds in the same cgroup would take each other's services
for their own. On hosts with both cgroup versions the second is at /sys/fs/cgroup/unified.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from lab.errors import NodeError
from lab.traces import Traces, remove_cgroup

HIERARCHIES = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
# Where version 1 stands beside it, nspawn makes a group of the same name in systemd's own.
LEGACY = Path("/sys/fs/cgroup/systemd")
FREEZE_TIMEOUT_S = 10.0


class Cgroup:
    """A cgroup directly below the root of the hierarchy; made by `make`, removed with the lab."""

    def __init__(self, name: str) -> None:
        self.path = _hierarchy() / name

    def make(self, traces: Traces) -> None:
        """Make it anew; what is left from an earlier boot of the node is removed.

        A cgroup that was killed once must not be used again: Linux 6.18 compares the counts of
        kills of two groups when systemd 257 starts a process in another one (CLONE_INTO_CGROUP),
        and kills every process of the new boot.
        """
        remove_cgroup(self.path)
        traces.note("cgroup", str(LEGACY / self.path.name))
        traces.note("cgroup", str(self.path))
        self.path.mkdir()

    def command(self, argv: Sequence[str]) -> list[str]:
        """A command that enters it and becomes `argv`: no process is ever outside."""
        join = f'echo $$ > {self.path}/cgroup.procs && exec "$@"'
        return ["sh", "-c", join, "sh", *argv]

    def kill(self) -> None:
        """SIGKILL to every process in it, new ones included."""
        if self.path.is_dir():
            (self.path / "cgroup.kill").write_text("1")

    def freeze(self, frozen: bool) -> None:
        """Stop or continue every process in it; returns when all have."""
        if not self.path.is_dir():
            return
        (self.path / "cgroup.freeze").write_text(str(int(frozen)))
        deadline = time.monotonic() + FREEZE_TIMEOUT_S
        while f"frozen {int(frozen)}" not in (self.path / "cgroup.events").read_text():
            if time.monotonic() > deadline:
                raise NodeError(f"{self.path} was not frozen={frozen} in {FREEZE_TIMEOUT_S:.0f} s")
            time.sleep(0.02)


def _hierarchy() -> Path:
    for path in HIERARCHIES:
        if (path / "cgroup.controllers").exists():
            return path
    raise NodeError(f"no cgroup version 2 is mounted at {' or '.join(map(str, HIERARCHIES))}")
