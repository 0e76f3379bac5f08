"""Elects the controller that runs the fleet's loops, by an advisory lock of the database.

The lock lives with its connection: a leader that dies, or whose database restarts, loses it and
another controller takes over within a second or two. For a moment both may believe they lead; the
loops are made for that (DESIGN: decisions that must be exclusive carry an epoch).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog
from prometheus_client import Gauge

from controller.loops.cycle import being_cancelled
from controller.metrics import REGISTRY
from controller.store import AdvisoryLock, Store
from controller.store.errors import StoreError

_log = structlog.get_logger(__name__)
_CHECK_S = 1.0
LOCK_NAME = "postfleet loops"

LEADING = Gauge(
    "postfleet_controller_leading", "1 while this controller runs the loops.", registry=REGISTRY
)

Loop = Callable[[], Coroutine[Any, Any, None]]


async def lead(store: Store, loops: Callable[[], Sequence[Loop]]) -> None:
    """Runs for ever; while this process is elected, so do the loops that `loops()` gives.

    `loops` is called anew at each election, so that what a loop has observed before does not
    survive a time in which another one led.
    """
    while not being_cancelled():
        async with store.advisory_lock(LOCK_NAME) as lock:
            if await _elected(lock):
                _log.info("elected: running the loops")
                await _run_while_elected(lock, loops())
        LEADING.set(0)
        await asyncio.sleep(_CHECK_S)


async def _elected(lock: AdvisoryLock) -> bool:
    try:
        return await lock.try_acquire()
    except StoreError as error:
        _log.warning("election not possible", why=str(error))
        return False


async def _run_while_elected(lock: AdvisoryLock, loops: Sequence[Loop]) -> None:
    tasks = [asyncio.create_task(loop()) for loop in loops]
    LEADING.set(1)
    try:
        while not being_cancelled() and await lock.still_held():
            done, _ = await asyncio.wait(tasks, timeout=_CHECK_S)
            for task in done:
                task.result()
        if not being_cancelled():
            _log.warning("the lock is lost: stopping the loops")
    finally:
        LEADING.set(0)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
