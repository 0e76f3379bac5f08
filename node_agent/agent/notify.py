"""sd_notify(3): tells systemd that the agent is ready, alive, or stopping."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable


def notify(state: str) -> None:
    """Send `state` ("READY=1") to systemd; without NOTIFY_SOCKET do nothing."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.connect(address)
        sock.sendall(state.encode())


async def watchdog(alive: Callable[[], bool]) -> None:
    """Tell systemd while `alive()`; twice in each WatchdogSec. Without one, return."""
    interval_us = int(os.environ.get("WATCHDOG_USEC", "0"))
    if not interval_us:
        return
    while True:
        if alive():
            notify("WATCHDOG=1")
        await asyncio.sleep(interval_us / 2_000_000)
