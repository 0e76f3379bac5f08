"""Reads on in Postfix's log, writes what it says into the spool, and says so to whoever listens.

Facts and the position behind them are written in one transaction, so that a crash neither loses
nor repeats one. A line that cannot be understood stops nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import structlog

from node_agent.agent import clock, metrics
from node_agent.agent.lifecycle import Entry
from node_agent.agent.maillog import line, meaning
from node_agent.agent.maillog.follow import Chunk, LogFile
from node_agent.agent.maillog.position import Position
from node_agent.agent.spool.spool import Learned, LogBatch, Spool

POLL_S = 0.2
# postlogd(8) writes what it received a moment later.
SETTLE_S = 0.5
# Cheap test before the parser: most lines of Postfix's are none of ours.
_WORTH_A_LOOK = re.compile(r"status=|\(queue active\)|: removed$| socket")

_log = structlog.get_logger("maillog")


class LogFollower:
    """`run` until cancelled; `on_learned` is awaited after each stretch that said something."""

    def __init__(
        self,
        spool: Spool,
        path: Path,
        on_learned: Callable[[list[Learned]], Awaitable[None]],
    ) -> None:
        self._spool = spool
        self._path = path
        self._on_learned = on_learned
        self._file: LogFile | None = None
        self._ends_reached = 0
        self._at_end = asyncio.Condition()
        self._look = asyncio.Event()
        self._readable = True

    @property
    def gap_ms(self) -> int:
        """Wall time at which lines may have been lost last; 0: never."""
        return self._file.gap_ms if self._file else 0

    async def run(self) -> None:
        """Follow for ever."""
        position = Position.from_json(await self._spool.log_position())
        self._file = LogFile(self._path, position, clock.wall_ms)
        try:
            while True:
                if await self._to_the_end(self._file):
                    async with self._at_end:
                        self._ends_reached += 1
                        self._at_end.notify_all()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._look.wait(), POLL_S)
                self._look.clear()
        finally:
            self._file.close()

    async def catch_up(self) -> None:
        """Return when everything logged before the call is in the spool.

        While the log cannot be read, or was there and is gone, this waits: silence would be taken
        for evidence.
        """
        await asyncio.sleep(SETTLE_S)
        async with self._at_end:
            # The look under way may have begun before the call; the one after it has not.
            wanted = self._ends_reached + 2
            self._look.set()
            while self._ends_reached < wanted:
                await self._at_end.wait()
                self._look.set()

    async def _to_the_end(self, file: LogFile) -> bool:
        """Read what there is; False where that may not be all."""
        gaps, read = file.gaps, True
        try:
            while (chunk := file.read()) is not None:
                await self._deal_with(chunk)
                await asyncio.sleep(0)
        except OSError as error:
            metrics.LOG_ERRORS.inc()
            if self._readable:
                _log.error("log-unreadable", path=str(self._path), error=str(error))
            read = False
        self._readable = read
        if file.gaps != gaps:
            metrics.LOG_GAPS.inc(file.gaps - gaps)
            _log.error(
                "log-gap",
                path=str(self._path),
                hint="lines were lost to a truncation or a deleted file; messages whose outcome "
                "stood there become uncertain",
            )
        return read and not file.missing

    async def _deal_with(self, chunk: Chunk) -> None:
        now = datetime.now().astimezone()
        entries = [entry for text in chunk.lines if (entry := _entry(text, now)) is not None]
        metrics.LOG_LINES.inc(len(chunk.lines))
        learned = await self._spool.learn_from_log(LogBatch(entries, chunk.position.as_json()))
        if learned:
            await self._on_learned(learned)


def _entry(text: str, now: datetime) -> Entry | None:
    if not _WORTH_A_LOOK.search(text):
        return None
    try:
        record = line.parse(text)
        return meaning.read(record, text, now) if record else None
    except ValueError:
        metrics.LOG_ERRORS.inc()
        return None
