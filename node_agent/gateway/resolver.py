"""Finds the address of a proxy that is named by its DNS name, without holding up the event loop.

getaddrinfo(3) runs in a few threads; answers are kept for a minute, failures for a few seconds, and
askers of the same name wait for the same answer. While a name cannot be looked up, an answer that
ran out stays good: a proxy seldom moves, and a broken resolver must not stop the mail.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from node_agent.gateway.loop import Loop

_GOOD_S = 60.0
_BAD_S = 5.0
_THREADS = 4
# Names come from the node's own configuration; this is a guard, not a working limit.
_MOST_NAMES = 4096

# What the asker gets: the address, or None and the reason.
Answer = Callable[[str | None, str], None]
Lookup = Callable[[str], str]


def lookup(name: str) -> str:
    """Return an IPv4 address of `name`, blocking. Raises OSError."""
    found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
    return str(found[0][4][0])


@dataclass
class _Known:
    address: str | None
    reason: str
    until_ns: int


class Resolver:
    """Answers `resolve` at once where it can, else from the loop, later."""

    def __init__(self, loop: Loop, lookup: Lookup = lookup) -> None:
        self._loop = loop
        self._lookup = lookup
        self._known: dict[str, _Known] = {}
        self._waiting: dict[str, list[Answer]] = {}
        self._asked: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._threads = 0

    def resolve(self, host: str, answer: Answer) -> None:
        """Call `answer(address, "")` or `answer(None, reason)`, exactly once."""
        try:
            IPv4Address(host)
        except AddressValueError:
            pass
        else:
            answer(host, "")
            return
        known = self._known.get(host)
        if known is not None and self._loop.clock() < known.until_ns:
            answer(known.address, known.reason)
        elif host in self._waiting:
            self._waiting[host].append(answer)
        else:
            self._waiting[host] = [answer]
            self._asked.put(host)
            if self._threads < _THREADS:
                self._threads += 1
                # Daemons: a lookup that hangs must not hold up the end of the process.
                threading.Thread(target=self._work, name="resolver", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._look(self._asked.get())

    def _look(self, host: str) -> None:
        address, reason = None, ""
        try:
            address = self._lookup(host)
        except (OSError, UnicodeError) as error:
            reason = f"{host}: {getattr(error, 'strerror', None) or error}"
        self._loop.call_threadsafe(lambda: self._found(host, address, reason))

    def _found(self, host: str, address: str | None, reason: str) -> None:
        before = self._known.get(host)
        if address is None and before is not None and before.address is not None:
            address, reason, keep_s = before.address, "", _BAD_S
        else:
            keep_s = _BAD_S if address is None else _GOOD_S
        if len(self._known) >= _MOST_NAMES:
            self._known.clear()
        until_ns = self._loop.clock() + int(keep_s * 1e9)
        self._known[host] = _Known(address, reason, until_ns)
        for answer in self._waiting.pop(host, ()):
            answer(address, reason)
