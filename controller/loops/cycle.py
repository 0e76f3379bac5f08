"""Runs a loop's cycles for ever: at a pace, at once while busy, slower while cycles fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from prometheus_client import Counter, Histogram

from controller.metrics import REGISTRY
from controller.store.errors import StoreError

_log = structlog.get_logger(__name__)

CYCLE_SECONDS = Histogram(
    "postfleet_controller_loop_seconds",
    "How long one cycle of a loop took, by loop: planner, reconcile, sweeper, warming, "
    "warm-up-mail, health, retention, dispatch, pusher, settings, providers, mail-dns, "
    "recovery, clock.",
    ["loop"],
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10),
    registry=REGISTRY,
)
CYCLE_FAILURES = Counter(
    "postfleet_controller_loop_failures_total",
    "Cycles that failed (database away, or a bug), by loop.",
    ["loop"],
    registry=REGISTRY,
)


async def run_forever(
    name: str,
    cycle: Callable[[], Awaitable[str]],
    *,
    every_s: float,
    is_busy: Callable[[], bool] = lambda: False,
    max_pause_s: float = 5.0,
) -> None:
    """Calls `cycle` every `every_s` seconds, at once again while `is_busy()`.

    A cycle that fails is logged and tried again after a growing pause: no loop ends because of one
    bad row or a database that restarts. A sentence that differs from the last one is logged.
    """
    said, pause_s = "", every_s
    while not being_cancelled():
        began_s = time.monotonic()
        try:
            sentence = await cycle()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            CYCLE_FAILURES.labels(name).inc()
            pause_s = min(max(pause_s * 2, 0.1), max_pause_s)
            bug = not isinstance(error, StoreError)
            _log.error("cycle failed", loop=name, why=str(error), exc_info=bug)
            said = ""
        else:
            pause_s = 0.0 if is_busy() else every_s
            if sentence != said:
                _log.debug("cycle", loop=name, did=sentence)
            said = sentence
        CYCLE_SECONDS.labels(name).observe(time.monotonic() - began_s)
        await asyncio.sleep(pause_s)


def being_cancelled() -> bool:
    """Whether the running task was told to end, although it may not have noticed.

    A cancellation that arrives while a pooled connection is being given back can be swallowed on
    Python 3.11 (about 1 in 400 of them); a loop that did not ask again would run for ever.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
