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

import sys

from rich.console import Console

from lab.demo.fleet import Fleet
from lab.demo.operator_tools import environment
from lab.demo.options import Options, parse
from lab.demo.phases import Phases
from lab.demo.program import DIFFERS, HOLDS, run_on_lab
from lab.demo.report import print_report, write_json
from lab.demo.run import boot, build_fleet, judge, plan_letters, send
from lab.lab import Lab


def main(argv: list[str] | None = None) -> int:
    """Runs the demonstration; returns the exit code."""
    options = parse(argv, __doc__ or "")
    return run_on_lab(
        "demo", Console(), options.name, options.keep, lambda phases: _demonstrate(options, phases)
    )


def _demonstrate(options: Options, phases: Phases) -> int:
    lab = boot(options, phases)
    fleet, inventory = build_fleet(lab, options, phases)
    submitted = send(fleet, plan_letters(options, inventory), phases)
    report = judge(lab, fleet, inventory, submitted, phases)
    print_report(report, phases.console)
    if options.json:
        write_json(report, options.json)
    fleet.close()
    if options.keep:
        _say_what_next(lab, fleet, phases.console)
    return HOLDS if report.holds else DIFFERS


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


if __name__ == "__main__":
    sys.exit(main())
