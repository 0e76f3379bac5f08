"""The journal of everything a lab leaves on the machine, written before it is made.

`/run/postfleet-lab/<name>.jsonl` has one line for the lab's directory and each process, namespace,
mount, link, table, rule, sysctl and cgroup. `undo_all` takes them away in reverse order; each kind
may be undone any number of times and whether or not it was ever made, so a crash at any point loses
nothing. A process is named by pid *and* start time: a pid that the kernel gave to somebody else is
left alone.

The journal is the machine's, not the checkout's: names of namespaces are, too, and a lab must be
removable when the checkout it came from is not there any more. It goes at a reboot, as they do.

It does not decide what to make; see `network`, `node`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

MAX_WAIT_S = 10.0
# The journals, and the values that labs changed on the host, as they were before the first lab.
MACHINE = Path("/run/postfleet-lab")


def journal(name: str) -> Path:
    """The journal of the lab of this name on this machine, whichever checkout made it."""
    return MACHINE / f"{name}.jsonl"


def directories() -> list[Path]:
    """Where the files of each lab on this machine stand."""
    found = (Traces(path).directory() for path in sorted(MACHINE.glob("*.jsonl")))
    return [directory for directory in found if directory]


def raise_sysctl(traces: Traces, name: str, least: int, host_link: str) -> None:
    """Raise a host sysctl (path below /proc/sys) to at least this; the last lab restores it."""
    path, before = Path("/proc/sys", name), MACHINE / name.replace("/", ".")
    traces.note("sysctl", name, host_link)
    value = path.read_text().strip()
    if int(value) < least:
        if not before.exists():
            before.write_text(value)
        path.write_text(str(least))


@dataclass(frozen=True)
class Trace:
    """One thing made. `what` names it within its kind; `extra` is what undoing needs."""

    kind: str
    what: str
    extra: str = ""


class Traces:
    """The journal of one lab."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, directory: Path) -> None:
        """Claim the name for a lab whose files stand in `directory`. Raises FileExistsError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("x"):
            pass
        self.note("directory", str(directory))

    def directory(self) -> Path | None:
        """Where the lab's files stand; None when there is no lab of this name."""
        return next((Path(t.what) for t in self.all() if t.kind == "directory"), None)

    def note(self, kind: str, what: str, extra: str = "") -> None:
        """Write down what is about to be made. Noting the same thing twice is harmless."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(Trace(kind, what, extra))) + "\n")
            file.flush()

    def all(self) -> list[Trace]:
        """Every trace in the order of making; a torn last line (a crash) is passed over."""
        if not self._path.exists():
            return []
        traces: dict[Trace, None] = {}
        for line in self._path.read_text().splitlines():
            try:
                traces[Trace(**json.loads(line))] = None
            except (json.JSONDecodeError, TypeError):
                continue
        return list(traces)

    def undo_all(self) -> list[str]:
        """Take everything away, latest first; return what resisted, one sentence each.

        The journal is deleted only when nothing resisted, so `down` can be repeated. Neither is the
        lab's directory while anything resists: a mount that stands in it leads out of it, and what
        it leads to is not the lab's to delete.
        """
        failures: list[str] = []
        traces = self.all()
        _stop_all([t for t in traces if t.kind == "process"])
        for trace in reversed(traces):
            if trace.kind == "directory" and failures:
                failures.append(f"directory {trace.what}: left as it is, for the rest still stands")
                continue
            try:
                UNDO[trace.kind](trace)
            except (OSError, subprocess.CalledProcessError, KeyError) as error:
                detail = getattr(error, "stderr", "") or error
                failures.append(f"{trace.kind} {trace.what}: {str(detail).strip()}")
        if not failures:
            self._path.unlink(missing_ok=True)
        return failures


def start_time(pid: int) -> str | None:
    """The process's start in clock ticks since boot (proc(5), field 22); None when it is gone.

    A zombie counts as gone: only its parent can remove it.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def is_alive(pid: int, started: str) -> bool:
    """True while exactly that process runs."""
    return start_time(pid) == started


def signal_exactly(pid: int, started: str, number: signal.Signals) -> bool:
    """Signal that process and no other; False when it is gone."""
    if not is_alive(pid, started):
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def wait_gone(processes: list[tuple[int, str]], timeout_s: float) -> list[tuple[int, str]]:
    """Wait until they are gone; return those that are not."""
    deadline = time.monotonic() + timeout_s
    while True:
        for pid, _ in processes:  # our own children stay zombies until somebody asks
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
        left = [p for p in processes if is_alive(*p)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def _stop_all(traces: list[Trace]) -> None:
    """Ask all to end, then insist; one wait for all of them together."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        asked = [(int(t.what), t.extra) for t in traces]
        asked = [p for p in asked if signal_exactly(*p, number)]
        traces = [t for t in traces if (int(t.what), t.extra) in asked]
        if not wait_gone(asked, MAX_WAIT_S if number == signal.SIGKILL else 2.0):
            return


def _undo_directory(trace: Trace) -> None:
    if Path(trace.what).exists():
        shutil.rmtree(trace.what)


def _undo_process(trace: Trace) -> None:
    pid = int(trace.what)
    signal_exactly(pid, trace.extra, signal.SIGKILL)
    if wait_gone([(pid, trace.extra)], MAX_WAIT_S):
        raise OSError("still runs after SIGKILL")


def _undo_mount(trace: Trace) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    for line in reversed(mounts.splitlines()):
        where = line.split()[4].encode().decode("unicode_escape")
        if where == trace.what or where.startswith(trace.what + "/"):
            _run("umount", where)


def _quietly(*argv: str) -> bool:
    """Run once; True when it failed."""
    return subprocess.run(argv, capture_output=True).returncode != 0


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True)


def _undo_netns(trace: Trace) -> None:
    """A namespace is the lab's own, so whatever still runs in it was started by the lab."""
    if not Path("/run/netns", trace.what).exists():
        return
    _end_processes_in(trace.what)
    _run("ip", "netns", "delete", trace.what)


def _end_processes_in(namespace: str) -> None:
    listed = subprocess.run(
        ["ip", "netns", "pids", namespace], capture_output=True, text=True, check=True
    )
    found = [(int(pid), start_time(int(pid))) for pid in listed.stdout.split()]
    processes = [(pid, started) for pid, started in found if started]
    for process in processes:
        signal_exactly(*process, signal.SIGKILL)
    if wait_gone(processes, MAX_WAIT_S):
        raise OSError("processes in it still run after SIGKILL")


def _undo_link(trace: Trace) -> None:
    """It goes with its peer's namespace, but a moment later: both ways may meet."""
    link = Path("/sys/class/net", trace.what)
    if link.exists() and _quietly("ip", "link", "delete", trace.what) and link.exists():
        raise OSError("the kernel refuses to delete it")


def _undo_nft(trace: Trace) -> None:
    """`what` is "ip NAME"."""
    _quietly("nft", "delete", "table", *trace.what.split())


def _undo_rule(trace: Trace) -> None:
    while not _quietly("ip", "rule", "del", *trace.what.split()):
        continue


def _undo_sysctl(trace: Trace) -> None:
    """Put the value from before back, unless another lab still stands. `extra` is our host link."""
    if any(link.name != trace.extra for link in Path("/sys/class/net").glob("pflab*")):
        return
    before = MACHINE / trace.what.replace("/", ".")
    if before.exists():
        Path("/proc/sys", trace.what).write_text(before.read_text())
        before.unlink()


def _undo_cgroup(trace: Trace) -> None:
    remove_cgroup(Path(trace.what))


def remove_cgroup(path: Path) -> None:
    """Kill what is in a cgroup and remove it with all below it; not there: nothing."""
    if not path.is_dir():
        return
    if (path / "cgroup.kill").exists():  # version 2; in version 1 they are ended by their twin
        (path / "cgroup.kill").write_text("1")
    deadline = time.monotonic() + MAX_WAIT_S  # from the innermost on; the kernel needs a moment
    while True:
        try:
            for child in sorted(path.rglob("*/"), reverse=True):
                child.rmdir()
            path.rmdir()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


UNDO: dict[str, Callable[[Trace], None]] = {
    "directory": _undo_directory,
    "process": _undo_process,
    "mount": _undo_mount,
    "netns": _undo_netns,
    "link": _undo_link,
    "nft": _undo_nft,
    "rule": _undo_rule,
    "sysctl": _undo_sysctl,
    "cgroup": _undo_cgroup,
}
