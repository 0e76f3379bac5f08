"""What is to be written to one node: urgent messages before mail.

A lease grant must not wait behind megabytes of mail. Holds whatever is put in: the bound on mail is
the session's (`room`), that on urgent messages is the pace of the node's own requests.
"""

from __future__ import annotations

import asyncio
from collections import deque

from postfleet.v1 import node_pb2


class Outbox:
    """Two queues with one reader."""

    def __init__(self) -> None:
        self._urgent: deque[node_pb2.ControllerMessage] = deque()
        self._mail: deque[node_pb2.ControllerMessage] = deque()
        self._filled = asyncio.Event()

    def put(self, message: node_pb2.ControllerMessage) -> None:
        """Anything but mail, in the order in which it is put."""
        self._urgent.append(message)
        self._filled.set()

    def put_mail(self, message: node_pb2.ControllerMessage) -> None:
        """A Dispatch; written when nothing urgent waits."""
        self._mail.append(message)
        self._filled.set()

    async def get(self) -> node_pb2.ControllerMessage:
        """The next to write; waits for one."""
        while not self._urgent and not self._mail:
            self._filled.clear()
            await self._filled.wait()
        return self._urgent.popleft() if self._urgent else self._mail.popleft()
