"""postfleet message watch: looks at messages until they are final."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from postfleet.v1 import fleet_pb2
from rich.live import Live
from rich.text import Text

from controller.cli.command import Session
from controller.cli.connection import Connection, connected
from controller.cli.exits import Exit
from controller.cli.failure import Failure
from controller.cli.output import console

_WAITING = ("accepted", "scheduled", "dispatched", "queued")
_ORDER = (*_WAITING, "sent", "bounced", "expired", "suppressed", "cancelled", "uncertain")
_MOST_IDS = 10_000


def watch(session: Session, ids: Sequence[str], timeout_s: float, every_s: float) -> None:
    """Until all of `ids`, or all messages of the fleet, are final. Raises Failure after timeout."""
    if len(ids) > _MOST_IDS:
        raise Failure(Exit.USAGE, f"{len(ids):,} messages; at most {_MOST_IDS:,} can be watched")
    deadline_s = time.monotonic() + timeout_s if timeout_s else None
    with connected(session) as connection, _screen(session) as show:
        while True:
            counts = _states(connection, ids) if ids else _fleet(connection)
            show(counts)
            waiting = sum(counts[state] for state in _WAITING)
            if not waiting:
                return
            if deadline_s is not None and time.monotonic() >= deadline_s:
                words = f"after {timeout_s:g} s {waiting:,} messages are not final: {_text(counts)}"
                raise Failure(Exit.REFUSED, words)
            time.sleep(every_s)


def _fleet(connection: Connection) -> Counter[str]:
    summary = connection.ask("GetFleet", fleet_pb2.GetFleetRequest())
    return Counter(dict(summary.messages))


def _states(connection: Connection, ids: Sequence[str]) -> Counter[str]:
    request = fleet_pb2.ListMessagesRequest(ids=ids, page_size=_MOST_IDS)
    found = connection.ask("ListMessages", request).messages
    missing = sorted(set(ids) - {each.id for each in found})
    if missing:
        raise Failure(Exit.NOT_FOUND, f"there is no message {', '.join(missing[:5])}")
    return Counter(each.state for each in found)


def _text(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[state]:,} {state}" for state in _ORDER if counts[state]) or "none"


@contextmanager
def _screen(session: Session) -> Iterator[Callable[[Counter[str]], None]]:
    """One line that changes on a terminal; a line for every change elsewhere."""
    last: list[str] = []

    def line(counts: Counter[str]) -> None:
        text = json.dumps(counts, sort_keys=True) if session.json else _text(counts)
        if last != [text]:
            print(text, flush=True)
            last[:] = [text]

    if session.json or not sys.stdout.isatty():
        yield line
        return
    with Live(console=console(), refresh_per_second=4) as live:
        yield lambda counts: live.update(Text(_text(counts)))
