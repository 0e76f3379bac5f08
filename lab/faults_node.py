"""Faults within a node: processes that die or hang, a disk that is full, a clock that jumps.

Power cuts and freezing are the node's own switches (`Node.kill`, `boot`, `freeze`, `thaw`).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from lab.errors import FaultImpossible, NodeError
from lab.node import Node
from lab.traces import signal_exactly, start_time

_FILLER = ".lab-fills-the-disk"


def processes(node: Node, name: str) -> list[tuple[int, str]]:
    """(pid on the host, start time) of the node's processes of this name.

    A process has the name of its program, or of the script that its interpreter runs.
    """
    found = []
    # os.walk passes over groups that vanish meanwhile, as those of ending services do
    for folder, _, _ in os.walk(node.cgroup.path):
        for pid in _pids(Path(folder, "cgroup.procs")):
            started = start_time(pid)
            if started and name in _names(pid):
                found.append((pid, started))
    return found


def signal_process(node: Node, name: str, number: signal.Signals = signal.SIGKILL) -> int:
    """Signal every process of this name; returns how many. Raises NodeError when there is none.

    SIGKILL is a crash; SIGSTOP a hang, ended by SIGCONT.
    """
    found = processes(node, name)
    if not found:
        raise NodeError(f"no process {name} runs on node {node.id}")
    return sum(signal_exactly(pid, started, number) for pid, started in found)


def fill_disk(node: Node, leave_kib: int = 0) -> None:
    """Fill the node's /var but for so much. The lab must have been brought up with `var_mib`."""
    if not node.disk.var_mib:
        raise FaultImpossible(
            f"the disk of node {node.id} is the host's; bring the lab up with "
            "LabSettings(var_mib=…) to have one that can be filled"
        )
    # What was free a moment ago may be less now: in halves that become smaller, as much as is left.
    node.run(
        f"n=$(($(df --output=avail -k /var | tail -n1) - {leave_kib})); at=0\n"
        'while [ "$n" -ge 4 ]; do\n'
        f'  if fallocate -o "${{at}}KiB" -l "${{n}}KiB" /var/{_FILLER} 2>/dev/null\n'
        "  then at=$((at + n)); else n=$((n / 2)); fi\n"
        "done"
    )


def free_disk(node: Node) -> None:
    """Take the filling away."""
    node.run(f"rm -f /var/{_FILLER}")


def step_clock(node: Node, seconds: float) -> None:
    """Always FaultImpossible: all nodes share the kernel's wall clock with the host.

    Linux has namespaces for CLOCK_MONOTONIC and CLOCK_BOOTTIME only (time_namespaces(7)).
    """
    raise FaultImpossible(
        f"the wall clock of node {node.id} is the host's; stepping it by {seconds:g} s would step "
        "everybody's. Test clock steps where the code takes its time as an argument"
    )


def _pids(procs: Path) -> list[int]:
    try:
        return [int(word) for word in procs.read_text().split()]
    except OSError:
        return []


def _names(pid: int) -> set[str]:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        comm = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return set()
    return {comm, *(Path(word.decode(errors="replace")).name for word in words[:2])}
