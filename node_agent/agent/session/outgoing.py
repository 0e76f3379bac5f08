"""What the agent says in a session, in order; heartbeats overtake the rest.

The instant a heartbeat is sent is taken right before it is written, so a grant's trust counts from
no later than its sending.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from postfleet.v1 import node_pb2

from node_agent.agent import clock

# Waiting messages; who has more to say waits.
MOST_WAITING = 64


class Outgoing:
    """One per session."""

    def __init__(self) -> None:
        self._queue: asyncio.PriorityQueue[tuple[int, int, node_pb2.NodeMessage]] = (
            asyncio.PriorityQueue()
        )
        self._room = asyncio.Semaphore(MOST_WAITING)
        self._order = itertools.count()
        # Heartbeat seq to CLOCK_BOOTTIME ns of its sending.
        self.sent_at_ns: dict[int, int] = {}
        self.events_sent_seq = 0
        self._events_sent = asyncio.Condition()

    async def say(self, message: node_pb2.NodeMessage) -> None:
        """Send after what was said before."""
        await self._room.acquire()
        self._queue.put_nowait((1, next(self._order), message))

    def say_first(self, message: node_pb2.NodeMessage) -> None:
        """Send before all that waits."""
        self._queue.put_nowait((0, next(self._order), message))

    async def events_sent(self, seq: int) -> None:
        """Return when all events up to `seq` were written to the stream."""
        async with self._events_sent:
            while self.events_sent_seq < seq:
                await self._events_sent.wait()

    async def write_all(self, write: Callable[[node_pb2.NodeMessage], Awaitable[None]]) -> None:
        """Write for ever."""
        while True:
            priority, _, message = await self._queue.get()
            if priority:
                self._room.release()
            if message.WhichOneof("body") == "heartbeat":
                self.sent_at_ns[message.heartbeat.seq] = clock.boottime_ns()
            await write(message)
            if message.WhichOneof("body") == "event_report":
                async with self._events_sent:
                    self.events_sent_seq = message.event_report.events[-1].seq
                    self._events_sent.notify_all()
