"""Where the measurements take place: a network namespace of their own, without a way out.

Everything has an address on lo: the surrogates (198.18.0.0/15), the proxies, the receiver. What is
started here is noted and taken away at the end, or by the next run after a crash.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from lab.bench.errors import BenchError
from lab.network_namespace import Namespace
from lab.settings import state_directory
from lab.traces import MACHINE, Traces, journal

EGRESSES = 20
RECEIVER = "203.0.113.10"
PROXIES = tuple(f"198.51.100.{number}" for number in range(1, EGRESSES + 1))
SURROGATES = tuple(f"198.18.0.{number}" for number in range(1, EGRESSES + 1))
_NAME = "pfbench"


class Ground:
    """A context manager: there while the block runs."""

    def __init__(self, name: str = _NAME) -> None:
        self.directory: Path = state_directory(name)
        self.traces = Traces(journal(name))
        self.namespace = Namespace(name, self.traces, self.directory / "log")

    def __enter__(self) -> Ground:
        MACHINE.mkdir(exist_ok=True)
        self._lock = (MACHINE / f"{self.namespace.name}.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise BenchError("another measurement is running; wait for its end") from None
        self.clear()
        self.traces.begin(self.directory)
        self.directory.mkdir(parents=True)
        # A path for daemons that run as another user.
        for folder in (self.directory.parent, self.directory):
            folder.chmod(0o755)
        self.traces.note("netns", str(self.namespace.name))
        try:
            run("ip", "netns", "add", str(self.namespace.name))
            self.namespace.run(["ip", "link", "set", "lo", "up"])
            self.namespace.run(["ip", "route", "add", "local", "198.18.0.0/15", "dev", "lo"])
            self.namespace.add_addresses([f"{a}/32" for a in (RECEIVER, *PROXIES)], "lo")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.clear()
        finally:
            self._lock.close()

    def clear(self) -> None:
        """Take everything away; nothing there: nothing."""
        failures = self.traces.undo_all()
        if failures:
            raise BenchError(f"not wholly gone: {'; '.join(failures)}; run it again")
        shutil.rmtree(self.directory, ignore_errors=True)

    def wait_listening(self, endpoint: str, timeout_s: float = 20.0) -> None:
        """Return when something listens on "address:port". Raises BenchError."""
        wait_for(
            lambda: endpoint in self.namespace.run(["ss", "-Hltn"]).stdout,
            f"nothing listens on {endpoint}; the logs are in {self.directory / 'log'}",
            timeout_s,
        )


def wait_for(condition: Callable[[], object], otherwise: str, timeout_s: float) -> None:
    """Return when `condition()` is true. Raises BenchError with `otherwise`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"after {timeout_s:g} s {otherwise}")
        time.sleep(0.02)


def run(*argv: str, stdin: str | None = None) -> str:
    """Run a command of the host; return its output. Raises BenchError with its stderr."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
