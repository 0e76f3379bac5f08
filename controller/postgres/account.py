"""Under which user the embedded server runs, and how a command is started as that user.

Started by root, the server gets a uid of its own that stands in no passwd file: it owns its data
and nothing else, and no user is added to the machine. Started by anybody else, it is that user.

A state directory below a directory that only root may enter (a checkout in /root, say) is bound
into the runtime directory, in a mount namespace of the server's own.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

# Between Debian's and systemd's ranges for users (uid_gid in the policy manual, 9.2.2).
SERVER_UID = 59_432
# initdb wants its user to have a name; nobody's uid has one everywhere.
_NAMED_UID = 65_534


@dataclass(frozen=True, slots=True)
class Account:
    """`uid` owns the data directory. `drops` says that commands must be started as it by root."""

    uid: int
    gid: int
    drops: bool

    def command(self, *argv: str, named: bool = False) -> list[str]:
        """argv such that it runs as this user (`named`: as one that getpwuid(3) knows)."""
        if not self.drops:
            return list(argv)
        uid = _NAMED_UID if named else self.uid
        return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", *argv]  # fmt: skip

    def build_uid(self) -> int:
        """Who must own the directory while initdb runs."""
        return _NAMED_UID if self.drops else self.uid


def current() -> Account:
    """The account for a server that this process starts."""
    if os.geteuid() == 0:
        return Account(SERVER_UID, SERVER_UID, drops=True)
    return Account(os.geteuid(), os.getegid(), drops=False)


def can_enter(directory: Path, account: Account) -> bool:
    """Whether the account may pass through every directory above `directory`."""
    if not account.drops:
        return True
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in directory.resolve().parents)


def bound(source: Path, mount_point: Path, command: list[str]) -> list[str]:
    """`command` in a mount namespace of its own in which `source` is seen at `mount_point`."""
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "--",
            "sh", "-c", script, "sh", str(source), str(mount_point), *command]  # fmt: skip
