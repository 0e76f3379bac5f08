"""Reckons the parts of a simulation at the same time, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from multiprocessing.sharedctypes import SynchronizedArray

from controller.simulation.parts import Part
from controller.simulation.run import run
from controller.simulation.series import Foresight

_LOOK_EVERY_S = 0.2
_days_done: SynchronizedArray[int]
"""By part; of the process that began this one."""


def on_cores(
    parts: Sequence[Part], days: int, seed: int, progressed: Callable[[int], None], cores: int
) -> list[Foresight]:
    """In the order of the parts. `progressed` hears of days that are over in all of them.

    Ends its processes when it is interrupted.
    """
    # A process that is a copy of this one would have half of its threads' locks.
    context = multiprocessing.get_context("spawn")
    done = context.Array("i", len(parts))
    executor = ProcessPoolExecutor(min(cores, len(parts)), context, _begin, (done,))
    try:
        results = [
            executor.submit(_reckon, number, part, days, seed) for number, part in enumerate(parts)
        ]
        _look_on(results, done, progressed)
        return [each.result() for each in results]
    except BaseException:
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _look_on(
    results: Sequence[Future[Foresight]],
    done: SynchronizedArray[int],
    progressed: Callable[[int], None],
) -> None:
    last = 0
    while wait(results, _LOOK_EVERY_S).not_done:
        day = sum(done[:]) // len(results)
        if day > last:
            last = day
            progressed(day)


def _begin(done: SynchronizedArray[int]) -> None:
    global _days_done
    _days_done = done
    # Who interrupts the command is answered by the process that waits for this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _reckon(number: int, part: Part, days: int, seed: int) -> Foresight:
    def progressed(day: int) -> None:
        _days_done[number] = day

    return run(*part, days, seed, progressed)
