"""Runs the operator's command that reinstalls a machine, by a provider's API for instance.

It gets NODE and HOST in its environment and nothing on its standard input, says with exit status 0
that the bare machine answers ssh, and may print the machine's new ssh host key on a line of its own
(`ssh-ed25519 AAAA…`), as read from the provider's console. Its other lines are shown.

It runs in a process group of its own: Ctrl-C does not reach it, because a reinstallation that was
begun is better finished.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress

from inventory.secrets import public_key
from provisioning.errors import ReinstallFailed

_SHOWN_LINES = 15


def run_hook(
    command: str, node_id: str, host: str, timeout_s: float, line: Callable[[str], None]
) -> str:
    """Runs it; returns the host key it printed (the last one), or "". Raises ReinstallFailed."""
    lines, key = [], ""
    late = threading.Event()
    with subprocess.Popen(
        ["sh", "-c", command],
        env={**os.environ, "NODE": node_id, "HOST": host},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        alarm = threading.Timer(timeout_s, _end, (process, late))
        alarm.start()
        try:
            for text in process.stdout:
                lines.append(text.rstrip())
                key = public_key(text) or key
                line(text.rstrip())
            status = process.wait()
        finally:
            alarm.cancel()
    if late.is_set() or status != 0:
        how = f"ended after {timeout_s:.0f} s by us" if late.is_set() else f"ended with {status}"
        said = "\n           ".join(lines[-_SHOWN_LINES:]) or "nothing"
        raise ReinstallFailed(
            f"{node_id}: the reinstallation failed\n"
            f"  command: NODE={node_id} HOST={host} {command}\n"
            f"  it {how} and said: {said}\n"
            "  what to do: look at the provider's console"
        )
    return key


def _end(process: subprocess.Popen[str], late: threading.Event) -> None:
    late.set()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
