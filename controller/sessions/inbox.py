"""What a node said and was not acted on yet: its last heartbeat, and the rest in order.

A heartbeat stands for itself: nothing that a node said before it has to be done first, so it does
not wait behind reports. The newest counts; one that was not answered when the next one came is not
answered any more. All else is acted on in the order in which it came.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass

from postfleet.v1 import node_pb2

# What may wait of one session before nothing more is read from it, heartbeats neither. An agent
# says no more than 5,000 events ahead of their acknowledgement, usually less than this.
MOST_OCTETS = 4 * 1024 * 1024
# Events of one node that are stored together.
MOST_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Said:
    """What a node said, and when it was read: a reading of the monotonic clock."""

    message: node_pb2.NodeMessage
    came_s: float
    octets: int

    @property
    def is_report(self) -> bool:
        """Whether it tells what became of messages."""
        return bool(self.message.WhichOneof("body") == "event_report")

    @property
    def events(self) -> int:
        """How many events it tells."""
        return len(self.message.event_report.events) if self.is_report else 0


class Inbox:
    """One writer and two readers, one of them for heartbeats; of one event loop."""

    def __init__(self) -> None:
        self._heartbeat: node_pb2.Heartbeat | None = None
        self._rest: deque[Said] = deque()
        self._octets = 0
        self._beat, self._filled = asyncio.Event(), asyncio.Event()
        self._room, self._done = asyncio.Event(), asyncio.Event()
        self._room.set()

    async def put(self, message: node_pb2.NodeMessage) -> None:
        """Takes what the node said; returns when there is room for more."""
        if message.WhichOneof("body") == "heartbeat":
            self._heartbeat = message.heartbeat
            self._beat.set()
            return
        said = Said(message, time.monotonic(), message.ByteSize())
        self._rest.append(said)
        self._octets += said.octets
        self._done.clear()
        self._filled.set()
        if self._octets >= MOST_OCTETS:
            self._room.clear()
            await self._room.wait()

    async def heartbeat(self) -> node_pb2.Heartbeat:
        """The newest heartbeat that was not given yet."""
        while self._heartbeat is None:
            self._beat.clear()
            await self._beat.wait()
        heartbeat, self._heartbeat = self._heartbeat, None
        return heartbeat

    async def rest(self) -> list[Said]:
        """What is next: one message, or all event reports until something else was said.

        Asking for more says that what was given before is done.
        """
        while not self._rest:
            self._done.set()
            self._filled.clear()
            await self._filled.wait()
        together = [self._pop()]
        events = together[0].events
        while together[-1].is_report and self._rest and self._rest[0].is_report:
            events += self._rest[0].events
            if events > MOST_EVENTS:
                break
            together.append(self._pop())
        return together

    async def done(self) -> None:
        """Returns when all that was put is acted on, but for heartbeats."""
        while self._rest or not self._done.is_set():
            await self._done.wait()

    def _pop(self) -> Said:
        said = self._rest.popleft()
        self._octets -= said.octets
        if self._octets < MOST_OCTETS:
            self._room.set()
        return said
