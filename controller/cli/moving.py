"""Looks on while egresses move between nodes, until nothing that was asked for is left to move.

Looking on changes nothing: the controller carries the order out by itself, and Ctrl-C ends only the
looking.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from postfleet.v1 import fleet_pb2
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from controller.cli.command import Session
from controller.cli.connection import Connection
from controller.cli.exits import Exit
from controller.cli.failure import Failure
from controller.cli.output import notes

_EVERY_S = 0.3


@dataclass
class Look:
    """What one look saw: how many are left, and what is under way."""

    left: int
    moves: list[fleet_pb2.ShardMove] = field(default_factory=list)

    @property
    def words(self) -> str:
        """Where it stands, and what an old move waits for."""
        text = f"{self.left:,} to move, {len(self.moves):,} under way"
        stuck = next((each for each in self.moves if each.stage.startswith("not applied")), None)
        return f"{text}; {stuck.egress_id} on {stuck.to_node}: {stuck.stage}" if stuck else text


def moves_of(connection: Connection, **wanted: str) -> list[fleet_pb2.ShardMove]:
    """Moves under way that have a target and these values."""
    listed = connection.ask("ListShardMoves", fleet_pb2.ListShardMovesRequest()).moves
    return [
        each
        for each in listed
        if each.to_node and all(getattr(each, name) == value for name, value in wanted.items())
    ]


def look_on(
    session: Session, look: Callable[[], Look], timeout_s: float, how_to_go_on: str
) -> None:
    """Until nothing is left. Raises Failure after `timeout_s` (0: never) and for Ctrl-C."""
    deadline_s = time.monotonic() + timeout_s if timeout_s else None
    goes_on = f"The controller goes on by itself. {how_to_go_on}"
    try:
        with _screen(session) as show:
            while (seen := look()).left or seen.moves:
                show(seen)
                if deadline_s is not None and time.monotonic() >= deadline_s:
                    words = f"after {timeout_s:g} s it is not done: {seen.words}. {goes_on}"
                    raise Failure(Exit.REFUSED, words)
                time.sleep(_EVERY_S)
            show(seen)
    except KeyboardInterrupt:
        raise Failure(Exit.INTERRUPTED, f"interrupted; nothing is lost. {goes_on}") from None


@contextmanager
def _screen(session: Session) -> Iterator[Callable[[Look], None]]:
    """A bar on a terminal; a line for every change elsewhere, on standard error."""
    if session.json or not sys.stderr.isatty():
        last: list[str] = []

        def line(look: Look) -> None:
            if last != [look.words] and not session.json:
                print(look.words, file=sys.stderr, flush=True)
                last[:] = [look.words]

        yield line
        return
    what = TextColumn("{task.fields[what]}")
    columns = (TextColumn("moving"), BarColumn(), MofNCompleteColumn(), what)
    with Progress(*columns, console=notes(), transient=True) as progress:
        task = progress.add_task("moving", total=None, what="")
        most = 0

        def bar(look: Look) -> None:
            nonlocal most
            most = max(most, look.left)
            progress.update(task, total=most, completed=most - look.left, what=look.words)

        yield bar
