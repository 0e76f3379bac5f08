"""Stops sending while there is hardly room for Postfix's log.

What a receiver says is known from the log alone: a message that goes out while the disk is full
ends `uncertain`. So below a low mark the egresses are closed (what runs ends), nothing is handed
over, and the spool's reserve, where it lies on the same file system, is given to the log. All of it
holds until there is room for log and reserve again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from node_agent.agent import metrics
from node_agent.agent.right import Right
from node_agent.agent.spool.reserve import Reserve, free_octets

# A disk that is being filled leaves little time.
LOOK_S = 0.5

_log = structlog.get_logger("log-room")


class LogRoom:
    """`least`: octets that must be free for the log; to go on, twice as many beside the reserve."""

    def __init__(
        self, log: Path, least: int, reserve: Reserve, right: Right, changed: Callable[[], None]
    ) -> None:
        self._log = log
        self._least = least
        self._reserve = reserve
        self._right = right
        self._changed = changed

    async def run(self) -> None:
        """Look for ever."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Look once."""
        free = free_octets(self._log.parent)
        if not self._right.halted:
            if free < self._least:
                self._halt(free)
        elif self._has_room(free):
            self._right.halted = ""
            metrics.HALTED.set(0)
            _log.info("room-for-the-log-again", free=free)
            self._changed()

    def _has_room(self, free: int) -> bool:
        if not self._reserve.shares_disk(self._log):
            return free >= 2 * self._least
        return free - self._reserve.missing >= 2 * self._least and self._reserve.restore()

    def _halt(self, free: int) -> None:
        given = self._reserve.release()
        self._right.halted = f"disk-full: {free} octets are free for Postfix's log"
        metrics.HALTED.set(1)
        _log.error("no-room-for-the-log", free=free, least=self._least, reserve_given=given)
        self._changed()
