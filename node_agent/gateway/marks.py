"""Notes on disk which egresses may have a connection open, before the first one is opened.

One empty file for each, named by the egress. When Postfix or the whole machine has died,
postfleet-apply's guard reads the names: what Postfix was about to send by any other egress cannot
have left. A mark is set once, stays while connections come and goes, and goes away when none was
open for long: so only the first connection after a pause waits for the disk. A thread does the
waiting, never the loop; marks asked for meanwhile share one fsync(2).

The directory is synced once a second, too, while connections are being opened: on file systems with
a journal that makes the queue manager's renames before that durable, which it does not do itself.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import structlog

from node_agent.gateway.loop import Loop
from node_agent.local.guard_paths import GUARD_RAN

log = structlog.get_logger(__name__)

# Called with "" when the mark is on disk, else with why it is not.
Go = Callable[[str], None]


class Marks:
    """Of one gateway. `directory` None: nothing is noted and nobody waits (bench, tests)."""

    def __init__(self, loop: Loop, directory: Path | None, guard_ran: Path = GUARD_RAN) -> None:
        self._loop = loop
        self._directory = directory
        self._guard_ran = guard_ran
        self._waiting: dict[str, list[Go]] = {}
        self._orders: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self.marked: set[str] = set()
        # Connections were opened since the last sync.
        self._unsynced = False
        if directory is not None:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.marked.update(entry.name for entry in directory.iterdir())
            # A daemon: a disk that hangs must not hold up the end of the process.
            threading.Thread(target=self._work, name="marks", daemon=True).start()

    def before_opening(self, egress_id: str, go: Go) -> None:
        """Call `go` once, at once where the mark is there, else from the loop, later."""
        if self._directory is None or egress_id in self.marked:
            self._unsynced = True
            go("")
        elif egress_id in self._waiting:
            self._waiting[egress_id].append(go)
        else:
            self._waiting[egress_id] = [go]
            self._orders.put(("set", egress_id))

    def drop(self, egress_ids: Iterable[str]) -> None:
        """Take marks away, some time soon: an old mark harms nobody.

        After a power loss they are all the guard has: none goes before it has run.
        """
        chosen = list(egress_ids)
        if not chosen or not self._guard_ran.exists():
            return
        for egress_id in chosen:
            self.marked.discard(egress_id)
            self._orders.put(("drop", egress_id))

    def sync_if_used(self) -> None:
        """Have what other programs did on this disk made durable where it is behind a sync."""
        if self._unsynced and self._directory is not None:
            self._unsynced = False
            self._orders.put(("sync", ""))

    def _work(self) -> None:
        assert self._directory is not None
        while True:
            orders = [self._orders.get()]
            while not self._orders.empty():
                orders.append(self._orders.get())
            problem = ""
            try:
                self._carry_out(orders)
            except OSError as error:
                problem = f"cannot note it in {self._directory}: {error.strerror or error}"
                log.error("marks not written", error=problem)
            done = [egress_id for verb, egress_id in orders if verb == "set"]
            if done:
                self._loop.call_threadsafe(partial(self._noted, done, problem))

    def _carry_out(self, orders: list[tuple[str, str]]) -> None:
        assert self._directory is not None
        for verb, egress_id in orders:
            path = self._directory / egress_id
            if verb == "set":
                path.touch(mode=0o600)
            elif verb == "drop":
                path.unlink(missing_ok=True)
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _noted(self, egress_ids: list[str], problem: str) -> None:
        for egress_id in egress_ids:
            if not problem:
                self.marked.add(egress_id)
            for go in self._waiting.pop(egress_id, ()):
                go(problem)
