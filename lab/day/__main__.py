"""./run day: a whole day of a fleet in minutes, at receivers that hold limits of their own.

A fleet is brought up as by ./run demo; then the clock of the controller and of its PostgreSQL goes
many times too fast, from the opening of the sending windows to their end. Every mailbox has a day's
mail. Three of four providers take less of an address in an hour than the fleet would send, and tell
it only by refusing: the fleet has to find these limits and stay below them, lose nothing on the
way, and still send. The receivers' own records are counted and drawn.

Exit codes: 0 everything holds; 1 something does not; 2 wrong options, or a phase failed;
130 interrupted. Without --keep nothing remains in any case.
"""

from __future__ import annotations

import os
import signal
import sys

from rich.console import Console
from rich.markup import escape

from lab.day.ground import Ground, down
from lab.day.hidden import rules
from lab.day.options import Options, parse
from lab.day.plot import draw
from lab.day.report import print_report, write_json
from lab.day.run import limits_of, live
from lab.demo.keep_logs import keep_logs
from lab.demo.phases import Phases
from lab.errors import LabError
from lab.lab import Lab
from lab.settings import state_directory

_HOLDS, _DIFFERS, _FAILED, _INTERRUPTED = 0, 1, 2, 130


def main(argv: list[str] | None = None) -> int:
    """Lives the day; returns the exit code."""
    options = parse(argv, __doc__ or "")
    console = Console()
    if os.geteuid() != 0:
        console.print("./run day: namespaces and mounts need root; run it as root")
        return _FAILED
    signal.signal(signal.SIGTERM, _interrupt)
    phases = Phases(console)
    code = _FAILED
    try:
        code = _live(options, phases)
    except (LabError, OSError) as error:
        console.print(f"[red]./run day:[/] {escape(str(error))}", soft_wrap=True)
    except KeyboardInterrupt:
        code = _INTERRUPTED
        console.print("[yellow]interrupted[/]")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # taking down must end
    console.print(f"{phases.total_s:.0f} s in all")
    return code


def _live(options: Options, phases: Phases) -> int:
    Lab.refuse_if_up(options.name)
    ground, code = None, _FAILED
    try:
        ground = Ground.up(options, rules(limits_of(options), options.speed), phases)
        outcome = live(ground, options, phases)
        print_report(outcome, phases.console)
        if options.json:
            write_json(outcome, options.json)
        if options.plot:
            options.plot.write_text(draw(outcome.day))
        code = _HOLDS if outcome.holds else _DIFFERS
    finally:
        if code != _HOLDS and (state_directory(options.name) / "lab.json").exists():
            keep_logs(Lab.attach(options.name), phases.console, "day")
        if not options.keep:
            with phases.phase("Take everything down"):
                if ground is not None:
                    down(ground)
                Lab.remove(options.name)
    return code


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
