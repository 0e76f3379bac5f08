"""The command line of ./run chaos."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.demo.options import SAMPLES, count
from lab.demo.options import Options as DemoOptions
from lab.settings import LabSettings


@dataclass(frozen=True)
class Options:
    """`only`: names of scenarios, () for all; `rounds`: random points in a killing scenario.
    `once_more`: what was only late is played again, and counts then."""

    name: str
    nodes: int
    mailboxes: int
    rounds: int
    rate: int
    once_more: bool
    only: tuple[str, ...]
    keep: bool
    json: Path | None
    list: bool

    @property
    def as_demo(self) -> DemoOptions:
        """What the demonstration's phases need to know."""
        return DemoOptions(self.name, self.nodes, self.mailboxes, 0, SAMPLES, self.keep, None)


def parse(argv: list[str] | None, description: str, names: Sequence[str]) -> Options:
    """The options; ends the process with 2 where they are wrong. `names`: the scenarios."""
    parser = argparse.ArgumentParser(
        prog="./run chaos",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", action="extend", nargs="+", default=[], metavar="NAME", help="these scenarios"
    )
    parser.add_argument("--nodes", type=count, default=8, help="nodes to boot (default 8)")
    parser.add_argument("--mailboxes", type=count, default=0, help="default: 20 for each node")
    parser.add_argument(
        "--rounds", type=count, default=20, help="kills in each killing scenario (default 20)"
    )
    parser.add_argument(
        "--rate", type=count, default=0, help="messages a second (default: 5 for 2 nodes)"
    )
    parser.add_argument(
        "--once-more",
        action="store_true",
        help="play again what was only late (on a machine that has other work), and count that",
    )
    parser.add_argument("--list", action="store_true", help="say what the scenarios are, and end")
    parser.add_argument("--keep", action="store_true", help="leave the fleet up afterwards")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON too")
    parser.add_argument("--name", default="chaos", help="the lab's name: 1 to 12 of a-z, 0-9")
    given = parser.parse_args(argv)
    unknown = [name for name in given.only if name not in names]
    if unknown:
        parser.error(f"--only {' '.join(unknown)}: no such scenario; --list shows them")
    if given.nodes < 2:
        parser.error(
            f"--nodes {given.nodes}: a fleet of one node has nowhere to go; give 2 or more"
        )
    if given.json and not given.json.absolute().parent.is_dir():
        parser.error(f"--json {given.json}: there is no such folder to write it to")
    try:
        LabSettings(name=given.name, nodes=given.nodes)
    except ValueError as error:
        parser.error(str(error))
    values = vars(given) | {
        "only": tuple(given.only),
        "mailboxes": given.mailboxes or 20 * given.nodes,
        "rate": given.rate or 5 * given.nodes // 2,
    }
    return Options(**values)
