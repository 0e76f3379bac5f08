"""Postfix's master(8): does it run, read your files again, start, stop.

What `postfix reload` does in the end is a SIGHUP to master; its checks before that take a hundred
processes, and check.py has looked at the same files already.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time

from node_agent.apply import mail_log
from node_agent.apply.command import Outcome, run
from node_agent.apply.errors import ReloadFailed
from node_agent.apply.layout import Layout

_SYSTEMCTL = "/usr/bin/systemctl"
_RELOAD_S = 60.0
_STEP_S = 0.05


def pid(layout: Layout) -> int | None:
    """Return master's process id, None when it does not run: it locks its file as long as it does.

    The same test as `master -t`.
    """
    try:
        with layout.master_pid.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read())
    except FileNotFoundError:
        pass
    return None


def start_if_stopped(layout: Layout) -> bool:
    """Start it where it does not run; return whether it had to. Raises ReloadFailed."""
    if pid(layout) is not None:
        return False
    # Not "start": on Debian 12 the unit may be active while the daemons are not.
    _must(run(_SYSTEMCTL, "restart", unit()))
    if pid(layout) is None:
        raise ReloadFailed(f"Postfix does not start; see {layout.mail_log} and `journalctl -e`")
    return True


def reread(layout: Layout) -> None:
    """Have it take up its files; return when it said so in its log. Raises ReloadFailed."""
    offset = mail_log.size(layout.mail_log)
    master = pid(layout)
    if master is None:
        raise ReloadFailed("Postfix ended before it could be told to read its files again")
    os.kill(master, signal.SIGHUP)
    deadline = time.monotonic() + _RELOAD_S
    while "reload -- version" not in mail_log.added_since(layout.mail_log, offset):
        if pid(layout) is None:
            raise ReloadFailed(f"Postfix ended at the reload; see the end of {layout.mail_log}")
        if time.monotonic() > deadline:
            raise ReloadFailed(f"no reload in {layout.mail_log} within {_RELOAD_S:g} s")
        time.sleep(_STEP_S)


def stop() -> None:
    """Stop it: there is no generation that it could run. Raises ReloadFailed."""
    _must(run(_SYSTEMCTL, "stop", unit()))


def unit() -> str:
    """Return the unit that holds the daemons; on Debian 12 postfix.service is only a shell."""
    kind = run(_SYSTEMCTL, "show", "--property=Type", "--value", "postfix.service")
    return "postfix@-.service" if kind.stdout.strip() == "oneshot" else "postfix.service"


def _must(outcome: Outcome) -> None:
    if not outcome.ok:
        raise ReloadFailed(f"{outcome}; see `journalctl -e`")
