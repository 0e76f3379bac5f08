"""./run bench [--json FILE] [--only NAME …] [--rounds N]

Measures what the issue's table names, prints a table for people, and with --json a file for
machines. Exit status 0 when all was measured, whether or not the bars are met (the table says
that); 1 when something could not be measured. Needs root and some minutes of a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lab.bench.ground import Ground
from lab.bench.result import Result, table
from lab.bench.rows_fleet import fleet_rows
from lab.bench.rows_intake import submission
from lab.bench.rows_mail import MailRows
from lab.bench.rows_placement import placement_rows
from lab.bench.rows_planner import planner_rows
from lab.bench.rows_scale import scale_rows
from lab.bench.rows_simulate import simulate_rows
from lab.bench.rows_spec import spec_rows
from lab.errors import LabError

GROUPS = (
    "placement", "planner", "scale", "throughput", "latency", "submission", "memory", "fleet",
    "spec", "simulate",
)  # fmt: skip


def main() -> int:
    """Measure; return the exit status."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument(
        "--only", action="append", choices=GROUPS, help="measure only this group (repeatable)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of the throughput rows; default 5")
    parser.add_argument(
        "--seconds", type=float, default=600, help="of the largest scale row; default 600"
    )
    options = parser.parse_args()
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {what}", file=sys.stderr, flush=True)

    # What a measurement has started it ends also when it is asked to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        results = measure(options.only or list(GROUPS), options.rounds, options.seconds, say)
    except LabError as error:
        print(f"./run bench: {error}", file=sys.stderr)
        return 1
    print(table(results))
    if options.json:
        rows = {"results": [result.as_json() for result in results]}
        options.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    return 0


def measure(
    groups: list[str], rounds: int, seconds: float, say: Callable[[str], None]
) -> list[Result]:
    """Measure these groups of rows."""
    results: list[Result] = []
    if "placement" in groups:
        results += placement_rows(say)
    if "planner" in groups:
        results += planner_rows(rounds, say)
    if "simulate" in groups:
        results += simulate_rows(say)
    if "scale" in groups:
        results += scale_rows(seconds, say)
    if {"throughput", "latency", "memory", "submission"} & set(groups):
        with Ground() as ground:
            results += _on_ground(ground, groups, rounds, say)
    if "fleet" in groups:
        results += fleet_rows(rounds, say)
    if "spec" in groups:
        results += spec_rows(say)
    return results


def _on_ground(
    ground: Ground, groups: list[str], rounds: int, say: Callable[[str], None]
) -> list[Result]:
    results: list[Result] = []
    if {"throughput", "latency", "memory"} & set(groups):
        rows = MailRows(ground, say)
        if "throughput" in groups:
            results += rows.throughput(rounds)
        if "latency" in groups:
            results += rows.latency()
        if "memory" in groups:
            results += rows.memory()
    if "submission" in groups:
        results += submission(ground, rounds, say)
    return results


if __name__ == "__main__":
    sys.exit(main())
