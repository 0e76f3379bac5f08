"""./run demo: boots a whole fleet on this machine, sends real mail, and proves what came of it.

Bare Debian nodes, SOCKS5 proxies, DNS and receivers in namespaces of their own; a controller on an
embedded PostgreSQL; `fab provision`; real messages to four providers of which some greylist,
throttle and refuse. Then the controller's account is held against the receivers' own records.

Messages of --input are readdressed to the lab (From:, To:, Cc:), nothing else of them is changed.

Exit codes: 0 everything holds; 1 the report names differences; 2 wrong options, or a phase failed;
130 interrupted. Without --keep nothing remains in any case; after a failure the logs are kept in
.state/demo/NAME.
"""

from __future__ import annotations

import os
import signal
import sys

from rich.console import Console
from rich.markup import escape

from lab.demo.fleet import Fleet
from lab.demo.keep_logs import keep_logs
from lab.demo.operator_tools import environment
from lab.demo.options import Options, parse
from lab.demo.phases import Phases
from lab.demo.report import print_report, write_json
from lab.demo.run import boot, build_fleet, judge, plan_letters, send
from lab.errors import LabError
from lab.lab import Lab

_HOLDS, _DIFFERS, _FAILED, _INTERRUPTED = 0, 1, 2, 130


def main(argv: list[str] | None = None) -> int:
    """Runs the demonstration; returns the exit code."""
    options = parse(argv, __doc__ or "")
    console = Console()
    if os.geteuid() != 0:
        console.print("./run demo: namespaces and mounts need root; run it as root")
        return _FAILED
    signal.signal(signal.SIGTERM, _interrupt)
    phases = Phases(console)
    code = _FAILED
    try:
        code = _demonstrate(options, phases)
    except (LabError, OSError) as error:
        console.print(f"[red]./run demo:[/] {escape(str(error))}", soft_wrap=True)
    except KeyboardInterrupt:
        code = _INTERRUPTED
        console.print("[yellow]interrupted[/]")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # taking down must end
    console.print(f"{phases.total_s:.0f} s in all")
    return code


def _demonstrate(options: Options, phases: Phases) -> int:
    Lab.refuse_if_up(options.name)
    lab, code = None, _FAILED
    try:
        lab = boot(options, phases)
        fleet, inventory = build_fleet(lab, options, phases)
        submitted = send(fleet, plan_letters(options, inventory), phases)
        report = judge(lab, fleet, inventory, submitted, phases)
        print_report(report, phases.console)
        if options.json:
            write_json(report, options.json)
        code = _HOLDS if report.holds else _DIFFERS
        fleet.close()
        if options.keep:
            _say_what_next(lab, fleet, phases.console)
    finally:
        if code != _HOLDS and lab is not None:
            keep_logs(lab, phases.console)
        if not options.keep:
            with phases.phase("Take everything down"):
                Lab.remove(options.name)
    return code


def _say_what_next(lab: Lab, fleet: Fleet, console: Console) -> None:
    exports = environment(lab, fleet, lab.directory / "inventory.yaml")
    console.print("\nThe fleet is up. Try next:\n")
    for name, value in exports.items():
        console.print(f"  export {name}={value}", soft_wrap=True)
    for line in (
        "./run postfleet node list",
        "./run postfleet message list --state bounced",
        "./run postfleet egress list",
        "./run fab --list",
        f"./run lab shell --name {lab.name} n1",
        f"./run fab rebuild --node n1 --reinstall './run lab reinstall --name {lab.name} $NODE'",
        f"./run lab down --name {lab.name}      # when you are done",
    ):
        console.print(f"  {line}", soft_wrap=True)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
