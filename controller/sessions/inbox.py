"""What a node said and was not acted on yet: its last heartbeat, and the rest in order.

A heartbeat stands for itself: nothing that a node said before it has to be done first, so it does
not wait behind reports. The newest counts; one that was not answered when the next one came is not
answered any more. All else is acted on in the order in which it came.
"""

from __future__ import annotations

import asyncio
from collections import deque

from postfleet.v1 import node_pb2

# What may wait of one session before nothing more is read from it, heartbeats neither. An agent
# says no more than 5,000 events ahead of their acknowledgement, usually less than this.
MOST_OCTETS = 4 * 1024 * 1024
# Events of one node that are stored together.
MOST_EVENTS = 1000


class Inbox:
    """One writer and two readers, one of them for heartbeats; of one event loop."""

    def __init__(self) -> None:
        self._heartbeat: node_pb2.Heartbeat | None = None
        self._rest: deque[tuple[node_pb2.NodeMessage, int]] = deque()
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
        octets = message.ByteSize()
        self._rest.append((message, octets))
        self._octets += octets
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

    async def rest(self) -> list[node_pb2.NodeMessage]:
        """What is next: one message, or all event reports until something else was said.

        Asking for more says that what was given before is done.
        """
        while not self._rest:
            self._done.set()
            self._filled.clear()
            await self._filled.wait()
        messages = [self._pop()]
        events = len(messages[0].event_report.events)
        while _is_report(messages[-1]) and self._rest and _is_report(self._rest[0][0]):
            events += len(self._rest[0][0].event_report.events)
            if events > MOST_EVENTS:
                break
            messages.append(self._pop())
        return messages

    async def done(self) -> None:
        """Returns when all that was put is acted on, but for heartbeats."""
        while self._rest or not self._done.is_set():
            await self._done.wait()

    def _pop(self) -> node_pb2.NodeMessage:
        message, octets = self._rest.popleft()
        self._octets -= octets
        if self._octets < MOST_OCTETS:
            self._room.set()
        return message


def _is_report(message: node_pb2.NodeMessage) -> bool:
    return bool(message.WhichOneof("body") == "event_report")
