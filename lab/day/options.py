"""The command line of ./run day."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.demo.options import SAMPLES, count
from lab.demo.options import Options as DemoOptions
from lab.settings import LabSettings

_FASTEST = 240


@dataclass(frozen=True)
class Options:
    """`messages`: of each mailbox in the day; `speed`: seconds of the day in one second."""

    name: str
    nodes: int
    mailboxes: int
    messages: int
    speed: int
    keep: bool
    json: Path | None
    plot: Path | None

    @property
    def as_demo(self) -> DemoOptions:
        """What the demonstration's phases want to know."""
        return DemoOptions(self.name, self.nodes, self.mailboxes, 0, SAMPLES, self.keep, self.json)


def parse(argv: Sequence[str] | None, description: str) -> Options:
    """The options; ends the process with 2 where they are wrong."""
    parser = argparse.ArgumentParser(
        prog="./run day",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--nodes", type=count, default=8, help="nodes to boot (default 8)")
    parser.add_argument("--mailboxes", type=count, default=1200, help="default 1200")
    parser.add_argument(
        "--messages", type=count, default=50, help="of each mailbox in the day (default 50)"
    )
    parser.add_argument(
        "--speed",
        type=count,
        default=10,
        help="how many seconds of the day pass in one (default 10: an hour for ten hours)",
    )
    parser.add_argument("--keep", action="store_true", help="leave the fleet up afterwards")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON too")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the day as SVG")
    parser.add_argument("--name", default="day", help="the lab's name: 1 to 12 of a-z, 0-9")
    given = parser.parse_args(argv)
    if given.speed > _FASTEST:
        parser.error(f"--speed {given.speed}: {_FASTEST} is the most that leases and mail follow")
    try:
        LabSettings(name=given.name, nodes=given.nodes)
    except ValueError as error:
        parser.error(str(error))
    return Options(**vars(given))
