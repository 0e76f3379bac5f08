"""One TCP connection on its way to be open, without waiting for it."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable

from node_agent.gateway.loop import Loop

# linux/in.h; not in the socket module of every Python we run on.
_IP_BIND_ADDRESS_NO_PORT = 24


class Dial:
    """Calls `on_open(socket)` or `on_failed(words)`, once, perhaps before the constructor ends.

    The socket is non-blocking, has TCP_NODELAY and keep-alive, and is watched by the loop already.
    """

    def __init__(
        self,
        loop: Loop,
        to: tuple[str, int],
        source: str | None,
        on_open: Callable[[socket.socket], None],
        on_failed: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._on_open = on_open
        self._on_failed = on_failed
        self._socket: socket.socket | None = socket.socket(
            socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        )
        try:
            failure = self._begin(self._socket, to, source)
        except OSError as error:
            failure = error.errno or errno.EIO
        if failure in (0, errno.EINPROGRESS):
            loop.watch(self._socket, self._ready)
        else:
            self._fail(failure)

    def cancel(self) -> None:
        """Stop without a word. Harmless when it is over."""
        if self._socket is not None:
            self._loop.discard(self._socket)
            self._socket = None

    def _begin(self, sock: socket.socket, to: tuple[str, int], source: str | None) -> int:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        if source is not None:
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))
        return sock.connect_ex(to)

    def _ready(self, mask: int) -> None:
        sock = self._socket
        if sock is None:
            return
        if failure := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._fail(failure)
        elif mask & select.EPOLLOUT:
            self._socket = None
            self._on_open(sock)

    def _fail(self, failure: int) -> None:
        self.cancel()
        self._on_failed(os.strerror(failure))
