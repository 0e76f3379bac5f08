"""A clock that goes many times too fast, for the controller and its PostgreSQL.

They read how far they are ahead from a file (libfaketime, see `lab.faults_clock`), which is written
anew several times a second. CLOCK_MONOTONIC is left alone, so leases and heartbeats last as long as
ever; nodes and receivers keep the true time. Nodes decide what is due by the time that grants
name (docs/decisions/0012), so they follow by the second.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from lab.faults_clock import step

_EVERY_S = 0.25


class FastClock:
    """Goes `speed` times as fast as time does, from `start` on until `stop`."""

    def __init__(self, offset: Path, speed: int) -> None:
        self.offset, self.speed = offset, speed
        self._began = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fast-clock", daemon=True)
        step(offset, 0)

    def start(self) -> None:
        """From now on."""
        self._began = time.time()
        self._thread.start()

    def stop(self) -> None:
        """Stays as far ahead as it is. Not running: nothing."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def seen_at(self, at: float) -> float:
        """What the fast clock showed at a true time since the start; both seconds since 1970."""
        return at + max(0.0, at - self._began) * (self.speed - 1)

    def now(self) -> float:
        """What it shows."""
        return self.seen_at(time.time())

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY_S):
            step(self.offset, int(self.now() - time.time()))
