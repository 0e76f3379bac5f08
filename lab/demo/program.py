"""What ./run demo and ./run chaos do alike: they need root, hear an interrupt and leave nothing.

Exit codes of both: HOLDS, DIFFERS (the report says in what), FAILED (it could not be judged) and
INTERRUPTED. After all but HOLDS the logs are kept in .state/COMMAND/LAB.

It does not know what is done on the lab; see `run` and lab.chaos.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape

from lab.demo.keep_logs import keep_logs
from lab.demo.phases import Phases
from lab.errors import LabError
from lab.lab import Lab
from lab.settings import state_directory

HOLDS, DIFFERS, FAILED, INTERRUPTED = 0, 1, 2, 130


def run_on_lab(
    command: str, console: Console, lab: str, keep: bool, work: Callable[[Phases], int]
) -> int:
    """Runs `work`, which brings up the lab of this name; returns the exit code.

    `command` is "demo" or "chaos". With `keep` the lab stands afterwards.
    """
    if os.geteuid() != 0:
        console.print(f"./run {command}: namespaces and mounts need root; run it as root")
        return FAILED
    signal.signal(signal.SIGTERM, _interrupt)
    phases = Phases(console)
    code = FAILED
    try:
        Lab.refuse_if_up(lab)
        code = _leaving_nothing(command, lab, keep, work, phases)
    except (LabError, OSError) as error:
        console.print(f"[red]./run {command}:[/] {escape(str(error))}", soft_wrap=True)
    except KeyboardInterrupt:
        code = INTERRUPTED
        console.print("[yellow]interrupted[/]")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end must come
    console.print(f"{phases.total_s:.0f} s in all")
    return code


def _leaving_nothing(
    command: str, lab: str, keep: bool, work: Callable[[Phases], int], phases: Phases
) -> int:
    code = FAILED
    try:
        code = work(phases)
    finally:
        if code != HOLDS and (state_directory(lab) / "lab.json").exists():
            keep_logs(Lab.attach(lab), phases.console, command)
        if not keep:
            with phases.phase("Take everything down"):
                Lab.remove(lab)
    return code


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
