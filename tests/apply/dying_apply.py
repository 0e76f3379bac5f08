"""Run on a node: postfleet-apply that kills itself (SIGKILL) before its n-th step.

    python dying_apply.py REQUEST N|reload

A step is a change of the file system's names (rename, symlink, unlink, mkdir), a program that is
started, or a signal that is sent; `reload` dies before the signal to Postfix. REQUEST is a file
with an ApplyRequest. Prints the steps taken.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Fork; the child is apply, the parent its client."""
    request = Path(sys.argv[1]).read_bytes()
    last = -1 if sys.argv[2] == "reload" else int(sys.argv[2])
    ours, its = socket.socketpair()
    counted, count = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(its.fileno(), 0)
        os.dup2(its.fileno(), 1)
        ours.close()
        sys.argv = ["postfleet-apply"]
        _arm(last, count)
        from node_agent.apply.main import main as apply_main

        apply_main()
        os._exit(0)
    its.close()
    os.close(count)
    ours.sendall(request)
    ours.shutdown(socket.SHUT_WR)
    while ours.recv(65536):
        pass
    os.waitpid(child, 0)
    steps = b""
    while chunk := os.read(counted, 65536):
        steps += chunk
    print(len(steps))


def _arm(last: int, count: int) -> None:
    taken = 0

    def armed(module: object, name: str) -> None:
        original = getattr(module, name)

        def call(*args: object, **kwargs: object) -> object:
            nonlocal taken
            if taken == last or (last < 0 and name == "kill"):
                os_kill(os.getpid(), signal.SIGKILL)
            taken += 1
            os.write(count, b".")
            return original(*args, **kwargs)

        setattr(module, name, call)

    os_kill = os.kill
    for name in ("rename", "symlink", "unlink", "mkdir", "kill"):
        armed(os, name)
    armed(subprocess, "run")


if __name__ == "__main__":
    main()
