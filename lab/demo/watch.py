"""Live progress of the mail: counts by state, rate, and each node; until everything is final."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from postfleet.v1 import fleet_pb2
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lab.demo.errors import DemoError
from lab.demo.fleet import Fleet

FINAL = ("sent", "bounced", "expired", "suppressed", "cancelled", "uncertain")
_WAITING = ("accepted", "scheduled", "dispatched", "queued")
_PAUSE_S = 1.0
_RATE_WINDOW_S = 5.0
# No message changes its state for so long: something hangs.
_STALL_S = 180.0
# Where there is no terminal, a line so often.
_LINE_EVERY_S = 15.0


@dataclass
class Rate:
    """Final messages a second over the last few seconds."""

    points: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, now: float, done: int) -> float:
        """The rate after this observation."""
        self.points.append((now, done))
        while now - self.points[0][0] > _RATE_WINDOW_S and len(self.points) > 2:
            self.points.popleft()
        (first, before), (last, after) = self.points[0], self.points[-1]
        return (after - before) / (last - first) if last > first else 0.0


def finished(summary: fleet_pb2.FleetSummary) -> int:
    """How many messages are in a final state."""
    return sum(summary.messages.get(state, 0) for state in FINAL)


def watch(fleet: Fleet, total: int, console: Console) -> None:
    """Shows progress until `total` messages are final. Raises DemoError when nothing moves."""
    rate = Rate()
    last_change, last_seen = time.monotonic(), ""
    last_line = last_change
    with Live(
        console=console, refresh_per_second=4, transient=True, auto_refresh=console.is_terminal
    ) as live:
        while True:
            summary, now = fleet.summary(), time.monotonic()
            done = finished(summary)
            if console.is_terminal:
                live.update(_screen(summary, fleet.nodes(), total, rate.add(now, done)))
            elif now - last_line > _LINE_EVERY_S:
                last_line = now
                states = sorted(summary.messages.items(), key=lambda item: -item[1])
                words = ", ".join(f"{count:,} {state}" for state, count in states)
                console.print(f"  {done:,} of {total:,} final: {words}", soft_wrap=True)
            if done >= total:
                return
            seen = str(sorted(summary.messages.items())) + str(summary.messages_deferred)
            if seen != last_seen:
                last_change, last_seen = now, seen
            if now - last_change > _STALL_S:
                raise DemoError(
                    f"nothing moved for {_STALL_S:.0f} s, {done} of {total} messages are final: "
                    f"{dict(summary.messages)}; look at `postfleet message list`"
                )
            if not fleet.process.alive:
                raise DemoError(f"the controller ended:\n{fleet.process.log_tail()}")
            time.sleep(_PAUSE_S)


def _screen(
    summary: fleet_pb2.FleetSummary, nodes: list[fleet_pb2.Node], total: int, rate: float
) -> Group:
    counts = Table(box=None, padding=(0, 2))
    shown = [*_WAITING, "sent", "bounced"]
    for name in [*shown, "deferred", "msg/s"]:
        counts.add_column(name, justify="right")
    states = [f"{summary.messages.get(state, 0):,}" for state in shown]
    counts.add_row(*states, f"{summary.messages_deferred:,}", f"{rate:.0f}")
    table = Table(box=None, padding=(0, 2))
    for name in ("node", "state", "gen", "egresses", "mailboxes", "spooled", "queued", "deferred"):
        table.add_column(name, justify="left" if name in ("node", "state") else "right")
    for node in nodes:
        numbers = (node.egresses, node.mailboxes, node.spooled, node.queued, node.deferred)
        generation = f"{node.running_generation}/{node.wanted_generation}"
        table.add_row(node.id, node.state, generation, *(str(number) for number in numbers))
    bar = ProgressBar(total=max(1, total), completed=finished(summary), width=60)
    return Group(bar, counts, Text(), table)
