"""Starts one of the system's tools and says what it said. The home of subprocess in this package.

Tools are named by absolute path, get a fixed environment and no terminal, and are killed when they
take too long.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
# postconf, postmap, nft and the like take milliseconds; a reload of Postfix a second.
_TIMEOUT_S = 60.0
_SHOWN_CHARACTERS = 2000


@dataclass(frozen=True)
class Outcome:
    """What a tool did. `status` is None where it was not there or did not end in time."""

    argv: tuple[str, ...]
    status: int | None
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        return self.status == 0

    def __str__(self) -> str:
        """Say what ran, how it ended and its words, shortened."""
        words = (self.stderr.strip() or self.stdout.strip())[-_SHOWN_CHARACTERS:]
        ended = "did not run" if self.status is None else f"exit status {self.status}"
        return f"`{' '.join(self.argv)}`: {ended}: {words or 'no words'}"


def run(*argv: str, stdin: str = "", timeout_s: float = _TIMEOUT_S) -> Outcome:
    """Run `argv` (first an absolute path) to its end. Never raises for what the tool does."""
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=_ENVIRONMENT,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(argv, None, "", f"still running after {timeout_s:g} s, killed")
    except OSError as error:
        return Outcome(argv, None, "", error.strerror or str(error))
    return Outcome(argv, done.returncode, done.stdout, done.stderr)
