"""What a pump knows of one direction, and the fence it looks at. Data; pump.py acts on it."""

from __future__ import annotations

import socket
from dataclasses import dataclass


@dataclass
class Fence:
    """Nothing is forwarded at or after this instant (CLOCK_BOOTTIME ns). Shared by all pumps."""

    cut_at_ns: int = 0


class Flow:
    """One direction."""

    __slots__ = (
        "ended",
        "eof",
        "octets",
        "pending",
        "readable",
        "receive",
        "send",
        "sink",
        "to_the_end",
    )

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.receive = source.recv_into
        self.send = sink.send
        self.sink = sink
        # Read and not yet sent.
        self.pending = b""
        # There may be something to read.
        self.readable = False
        # A short read proves nothing, read until EAGAIN or the end: the kernel told of an end, or
        # told it to an earlier handler.
        self.to_the_end = False
        # The source has ended; and the sink was told.
        self.eof = False
        self.ended = False
        # Sent since the owner last took account.
        self.octets = 0
