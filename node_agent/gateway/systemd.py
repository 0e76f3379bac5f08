"""What passes between systemd and the gateway: sockets in, sockets into its store, "ready".

The protocols of sd_listen_fds(3), sd_notify(3) and sd_pid_notify_with_fds(3), as far as they are
needed; without systemd (no NOTIFY_SOCKET, no LISTEN_FDS) every function does nothing.
"""

from __future__ import annotations

import array
import os
import select
import socket
from collections.abc import Mapping, Sequence

_FIRST_FD = 3
# Linux allows 253 (SCM_MAX_FD) in one message.
_FDS_PER_MESSAGE = 200
_BARRIER_S = 10.0


def inherited_fds(environment: Mapping[str, str] = os.environ) -> list[tuple[str, int]]:
    """Return (name, descriptor) of all that systemd handed over: listeners and the store."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environment.get("LISTEN_FDS", "0"))
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    names += ["unknown"] * (count - len(names))
    fds = [(names[index], _FIRST_FD + index) for index in range(count)]
    for _, fd in fds:
        os.set_inheritable(fd, False)
    return fds


def under_systemd() -> bool:
    """Return whether there is a service manager to talk to."""
    return "NOTIFY_SOCKET" in os.environ


def notify(state: str, fds: Sequence[int] = ()) -> None:
    """Send one message of sd_notify(3), "A=b" lines, with descriptors. Raises OSError."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sock.sendmsg([state.encode()], ancillary, 0, address)


def store(name: str, fds: Sequence[int]) -> None:
    """Put descriptors into the service's file descriptor store, under one name.

    FDPOLL=0: systemd must not look at them, it would drop those that show a hang-up.
    """
    for start in range(0, len(fds), _FDS_PER_MESSAGE):
        notify(f"FDSTORE=1\nFDPOLL=0\nFDNAME={name}", fds[start : start + _FDS_PER_MESSAGE])


def unstore(name: str) -> None:
    """Have systemd close its copies of all descriptors stored under this name."""
    notify(f"FDSTOREREMOVE=1\nFDNAME={name}")


def barrier() -> None:
    """Wait until systemd has dealt with everything sent before. Raises OSError, TimeoutError."""
    if not under_systemd():
        return
    reading, writing = os.pipe()
    try:
        try:
            notify("BARRIER=1", [writing])
        finally:
            os.close(writing)
        poll = select.poll()
        poll.register(reading, select.POLLHUP)
        if not poll.poll(_BARRIER_S * 1000):
            raise TimeoutError("systemd did not answer BARRIER=1")
    finally:
        os.close(reading)
