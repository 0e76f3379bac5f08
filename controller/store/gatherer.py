"""Does together what many ask for one by one: what comes while one batch is at work is the next.

A transaction costs several ways to the database and one write to its disk, however little is in it.
With little to do each item is a batch of its own, done at once; the more there is to do, the more
one batch holds. Whoever asked is answered when the batch with its item has ended.

    renewals = Gatherer(renew_all, most=500)
    grant = await renewals.do(heartbeat)

A batch that fails is halved and done again, until what cannot be done is alone and only whoever
asked for it hears of it. That the database is away, all hear at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from controller.store.errors import StoreUnavailable

T = TypeVar("T")
R = TypeVar("R")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Asked(Generic[T, R]):
    item: T
    weight: int
    answer: asyncio.Future[R]


class Gatherer(Generic[T, R]):
    """For the tasks of one event loop. Items are done in the order in which they were asked for.

    `work` does a batch and gives one result for each item, in order; done twice, it must do no more
    than once. `most` bounds the weights of a batch together (an item that weighs more goes alone).
    Batches begin at least `every_s` apart.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        most: int,
        weigh: Callable[[T], int] = lambda _: 1,
        every_s: float = 0.0,
    ) -> None:
        self._work = work
        self._most = most
        self._weigh = weigh
        self._every_s = every_s
        self._waiting: deque[_Asked[T, R]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._began_s = float("-inf")

    async def do(self, item: T) -> R:
        """The item's result, or what `work` raised for it alone.

        Cancelled before its batch began, the item is not done; after that, it is.
        """
        asked: _Asked[T, R] = _Asked(
            item, self._weigh(item), asyncio.get_running_loop().create_future()
        )
        self._waiting.append(asked)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._run())
        return await asked.answer

    async def close(self) -> None:
        """Stops; what waits is not done and not answered."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def _run(self) -> None:
        """Batch after batch, until nothing waits."""
        while self._waiting:
            pause_s = self._began_s + self._every_s - time.monotonic()
            if pause_s > 0:
                await asyncio.sleep(pause_s)
            self._began_s = time.monotonic()
            batch = self._next()
            if batch:
                await self._do(batch)

    def _next(self) -> list[_Asked[T, R]]:
        batch: list[_Asked[T, R]] = []
        weight = 0
        while self._waiting:
            asked = self._waiting[0]
            if not asked.answer.done():
                if batch and weight + asked.weight > self._most:
                    break
                batch.append(asked)
                weight += asked.weight
            self._waiting.popleft()
        return batch

    async def _do(self, batch: Sequence[_Asked[T, R]]) -> None:
        try:
            results = await self._work([asked.item for asked in batch])
        except StoreUnavailable as error:
            for asked in batch:
                _refuse(asked, StoreUnavailable(error.detail))
        except Exception as error:
            if len(batch) == 1:
                _refuse(batch[0], error)
                return
            _log.warning("batch is done in halves", items=len(batch), why=str(error))
            middle = len(batch) // 2
            await self._do(batch[:middle])
            await self._do(batch[middle:])
        else:
            for asked, result in zip(batch, results, strict=True):
                if not asked.answer.done():
                    asked.answer.set_result(result)


def _refuse(asked: _Asked[T, R], error: Exception) -> None:
    if not asked.answer.done():
        asked.answer.set_exception(error)
