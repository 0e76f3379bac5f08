"""The demonstration's command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from lab.settings import CHECKOUT, LabSettings

SAMPLES = CHECKOUT / "lab" / "samples"


@dataclass(frozen=True)
class Options:
    """`messages` 0: each mailbox and each message of `input` at least once."""

    name: str
    nodes: int
    mailboxes: int
    messages: int
    input: Path
    keep: bool
    json: Path | None


def parse(argv: list[str] | None, description: str) -> Options:
    """The options; ends the process with 2 where they are wrong."""
    parser = argparse.ArgumentParser(
        prog="./run demo",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--nodes", type=count, default=8, help="nodes to boot (default 8)")
    parser.add_argument("--mailboxes", type=count, default=1200, help="default 1200")
    parser.add_argument(
        "--messages", type=count, default=0, help="how many to send (default: one per mailbox)"
    )
    parser.add_argument(
        "--input",
        type=Path,
        default=SAMPLES,
        metavar="PATH",
        help="what to send: a folder of .eml files, an mbox, or JSONL (default: the samples)",
    )
    parser.add_argument("--keep", action="store_true", help="leave the fleet up afterwards")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON too")
    parser.add_argument("--name", default="demo", help="the lab's name: 1 to 12 of a-z, 0-9")
    given = parser.parse_args(argv)
    if not given.input.exists():
        parser.error(f"--input {given.input}: there is nothing")
    try:
        LabSettings(name=given.name, nodes=given.nodes)
    except ValueError as error:
        parser.error(str(error))
    return Options(**vars(given))


def count(text: str) -> int:
    """A whole number of 1 or more."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: a whole number of 1 or more is needed")
    return int(text)
