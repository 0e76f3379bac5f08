"""Takes an operator's rules into use as soon as their file changes; a restart is not needed.

What `shaping check` would refuse is refused here, too: the rules that hold stay in force, and the
log, the audit log and a metric say why. Each controller reads the file on its own machine.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from controller.audit import write_audit
from controller.shaping.proved import open_proved
from controller.shaping.read import ShapingError
from controller.store import Store
from controller.throttle import metrics
from controller.throttle.follow import ACTOR
from controller.throttle.heard import Listener

_log = structlog.get_logger(__name__)
_SUBJECT = "shaping/rules"
# As many of its problems stand in the audit log.
_MOST_TOLD = 20

Seen = tuple[int, int, int] | None
"""What tells one state of a file from another: inode, size, time of change; None: not there."""


class RulesReload:
    """One of each controller. Begins with the rules that the controller started with."""

    def __init__(self, store: Store, listener: Listener, path: Path) -> None:
        self._store = store
        self._listener = listener
        self._path = path
        self._seen = seen(path)

    async def run_cycle(self) -> str:
        """Looks at the file; gives a sentence on what became of it."""
        now = seen(self._path)
        if now == self._seen:
            return "the shaping rules are as they were"
        # The look comes first: what is written after it is seen by the next one.
        names = self._listener.table.names
        try:
            book = await asyncio.to_thread(open_proved, self._path, names)
        except ShapingError as error:
            await self._refuse(error)
            self._seen = now
            return f"{self._path} is refused: {len(error.problems)} problems"
        before, self._listener.book = self._listener.book, book
        metrics.RULES_REFUSED.set(0)
        added = sorted({p.rule.name for p in book.rules} - {p.rule.name for p in before.rules})
        gone = sorted({p.rule.name for p in before.rules} - {p.rule.name for p in book.rules})
        _log.info("shaping rules reloaded", file=str(self._path), rules=len(book.rules))
        await write_audit(
            self._store,
            actor=ACTOR,
            action="reload-rules",
            subject=_SUBJECT,
            reason=f"{self._path} changed; its rules are proved and in force",
            evidence={"rules": len(book.rules), "added": added, "gone": gone},
        )
        self._seen = now
        return f"{len(book.rules)} rules of {self._path} are in force"

    async def _refuse(self, error: ShapingError) -> None:
        metrics.RULES_REFUSED.set(1)
        told = [str(problem) for problem in error.problems[:_MOST_TOLD]]
        _log.error("shaping rules refused; those before stay in force", problems=told)
        await write_audit(
            self._store,
            actor=ACTOR,
            action="refuse-rules",
            subject=_SUBJECT,
            reason=f"{self._path} changed and is refused; the rules before it stay in force",
            evidence={"problems": told},
        )


def seen(path: Path) -> Seen:
    """The state of the file at this moment."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
