"""The operator's wish to stop, seen by all threads; read between two steps, never within one."""

from __future__ import annotations

import threading


class StopSign:
    """Raised by Ctrl-C, read between steps."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __call__(self) -> bool:
        return self._event.is_set()

    def raise_(self) -> None:
        """From now on no step begins."""
        self._event.set()
