"""A network namespace of the lab, and processes in it.

`Namespace.popen` starts a daemon that outlives this Python process; it is noted by pid and start
time, so that `lab down` ends it and nothing else. `Namespace.run` is for short commands.
The file system is the host's; only the network differs (for whole machines see `node`).
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab import detached
from lab.errors import NetworkError
from lab.traces import Traces, is_alive, signal_exactly, wait_gone


@dataclass(frozen=True)
class Process:
    """A process the lab started. `started` is its start time in clock ticks since boot."""

    pid: int
    started: str
    argv: tuple[str, ...]
    log: Path

    @property
    def alive(self) -> bool:
        """False when it ended, also as a zombie."""
        return is_alive(self.pid, self.started)

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; False when it is gone already."""
        return signal_exactly(self.pid, self.started, number)

    def stop(self, timeout_s: float = 5.0) -> None:
        """SIGTERM, then SIGKILL after the timeout. Harmless when it is gone."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.signal(number)
            if not wait_gone([(self.pid, self.started)], timeout_s):
                break

    def log_tail(self, lines: int = 20) -> str:
        """The last lines it wrote, for error messages."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


@dataclass(frozen=True)
class Namespace:
    """`name` as in `ip netns`; None is the host's own network."""

    name: str | None
    traces: Traces = field(repr=False, compare=False)
    log_dir: Path = field(repr=False, compare=False)

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in this namespace."""
        inside = ["nsenter", f"--net=/run/netns/{self.name}", "--"] if self.name else []
        return [*inside, *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str | None = None,
        check: bool = True,
        timeout_s: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a short command to its end. Raises NetworkError with its stderr when `check`."""
        done = subprocess.run(
            self.command(argv), input=stdin, capture_output=True, text=True, timeout=timeout_s
        )
        if check and done.returncode != 0:
            raise NetworkError(
                f"in namespace {self.name or 'host'}: {' '.join(argv)} ended with "
                f"{done.returncode}: {done.stderr.strip()}"
            )
        return done

    def popen(
        self,
        argv: Sequence[str],
        *,
        log: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Process:
        """Start a process that stays until stopped or `lab down`.

        Its output goes to `<lab>/log/<log>.log` (default: the program's name), its input is empty,
        `env` is added to ours, and it leads its own session, so Ctrl-C here does not reach it.
        """
        log_path = self.log_dir / f"{log or Path(argv[0]).name}.log"
        pid, started = detached.start(self.command(argv), log_path, env, cwd)
        self.traces.note("process", str(pid), started)
        return Process(pid, started, tuple(argv), log_path)

    def add_addresses(self, addresses: Iterable[str], device: str = "eth0") -> None:
        """Give the interface these addresses ("198.51.100.7/32"); there already: no change."""
        lines = "".join(f"address replace {address} dev {device}\n" for address in addresses)
        self.run(["ip", "-batch", "-"], stdin=lines)
