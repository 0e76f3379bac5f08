"""Steps the wall clock that single processes see: the agent's on a node, the controller's.

All nodes share the kernel's wall clock with the host (time namespaces have none of their own), so
a whole machine's cannot be stepped here. libfaketime stands between a process and its C library
instead, and leaves CLOCK_MONOTONIC and CLOCK_BOOTTIME alone, as a step does. It reads the offset
from a file again every second. A faked process must not use clock_nanosleep(2), which the library
(0.9.10) answers with EINVAL: neither agent nor controller does while they run; a controller does
when it stops its PostgreSQL in order, so end it by SIGKILL. A PostgreSQL whose clock jumps again
and again misses deadlocks (its timeouts are times of day): one there stands for ever, where
elsewhere it is ended within a second.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.errors import FaultImpossible
from lab.node import Node

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
_DROP_IN = "etc/systemd/system/postfleet-agent.service.d/lab-clock.conf"
_ON_NODE = "opt/lab-clock"


def environment(library: Path, offset: Path) -> dict[str, str]:
    """What puts a process under a clock whose offset in seconds stands in the file."""
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_CACHE_DURATION": "1",
    }


def step(offset: Path, seconds: int) -> None:
    """Steps the clock of every process under this file, within a second; 0 is the true time."""
    fresh = offset.with_suffix(".new")
    fresh.write_text(f"{seconds:+d}\n")
    fresh.chmod(0o644)
    fresh.rename(offset)


def library() -> Path:
    """Where libfaketime is. Raises FaultImpossible."""
    if not LIBRARY.exists():
        raise FaultImpossible(f"{LIBRARY} is not there; install Debian's package libfaketime")
    return LIBRARY


def put_agent_under(node: Node) -> Path:
    """Restarts a node's agent under a clock that can be stepped; gives the offset's file."""
    folder = node.root / _ON_NODE
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(library(), folder / "libfaketime.so.1")
    step(folder / "offset", 0)
    inside = Path("/", _ON_NODE)
    lines = [
        f"Environment={name}={value}"
        for name, value in environment(inside / "libfaketime.so.1", inside / "offset").items()
    ]
    drop_in = node.root / _DROP_IN
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text("[Service]\n" + "\n".join(lines) + "\n")
    node.run("systemctl daemon-reload && systemctl restart postfleet-agent")
    return folder / "offset"


def release_agent(node: Node) -> None:
    """Gives the agent the machine's clock again."""
    (node.root / _DROP_IN).unlink(missing_ok=True)
    node.run("systemctl daemon-reload && systemctl restart postfleet-agent")
