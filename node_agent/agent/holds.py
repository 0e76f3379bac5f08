"""Puts queue files on hold through postfleet-apply: at once, and again until it is done.

An uncertain message must not be tried again by Postfix; only root may hold it, and delete it when
it has ended (postsuper(1)).
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import structlog
from postfleet.v1 import local_pb2

from node_agent.agent import queue_orders
from node_agent.agent.backoff import delay_s
from node_agent.agent.errors import QueueOrderError
from node_agent.agent.spool.spool import Spool

# Queue ids in one request.
MOST_AT_ONCE = 200

_log = structlog.get_logger("holds")


class Holds:
    """`want` a hold; `run` sees to it."""

    def __init__(self, spool: Spool, apply_socket: Path) -> None:
        self._spool = spool
        self._socket = apply_socket
        # Queue id to message id.
        self._wanted: dict[str, str] = {}
        self._changed = asyncio.Event()

    def want(self, message_id: str, queue_id: str) -> None:
        """This queue file is to be held now."""
        self._wanted[queue_id] = message_id
        self._changed.set()

    async def run(self) -> None:
        """Hold for ever, beginning with what a crash left open."""
        for message_id, queue_id in await self._spool.not_held():
            if queue_id:
                self.want(message_id, queue_id)
        failures = 0
        while True:
            await self._changed.wait()
            if await self._hold(dict(list(self._wanted.items())[:MOST_AT_ONCE])):
                failures = 0
            else:
                failures += 1
                await asyncio.sleep(delay_s(failures, 0.2, 10.0, random.Random()))  # noqa: S311
            if not self._wanted:
                self._changed.clear()

    async def discard(self, queue_ids: list[str]) -> bool:
        """Delete queue files, of which nothing may come any more; return whether all are gone."""
        try:
            await queue_orders.order(local_pb2.QUEUE_ACTION_DELETE, queue_ids, self._socket)
        except QueueOrderError as error:
            _log.error("not-deleted", queue_ids=queue_ids, error=str(error))
            return False
        for queue_id in queue_ids:
            self._wanted.pop(queue_id, None)
        return True

    async def _hold(self, batch: dict[str, str]) -> bool:
        try:
            await queue_orders.order(local_pb2.QUEUE_ACTION_HOLD, batch, self._socket)
        except QueueOrderError as error:
            _log.error("not-held", queue_ids=sorted(batch), error=str(error))
            return False
        await self._spool.mark_held(batch.values())
        for queue_id in batch:
            self._wanted.pop(queue_id, None)
        _log.warning("held", queue_ids=sorted(batch))
        return True
