"""Sends Postfix the last words of a connection and sees to it that it hears them.

A close with unread octets makes the kernel send a reset, and the greeting could be lost with it:
so the writing side is shut down, what comes is read and dropped, and the socket is closed when the
other side has closed, or after ten seconds.
"""

from __future__ import annotations

import socket

from node_agent.gateway.loop import Loop

_PATIENCE_S = 10.0


class Farewell:
    """Says `words` to `down` and closes it. The object keeps itself alive as long as needed."""

    def __init__(self, loop: Loop, down: socket.socket, words: bytes) -> None:
        self._loop = loop
        self._down = down
        try:
            # The socket's buffer is empty or nearly so: a line always fits.
            down.send(words)
            down.shutdown(socket.SHUT_WR)
        except OSError:
            loop.discard(down)
            return
        self._patience = loop.call_in(_PATIENCE_S, self._close)
        loop.watch(down, self._ready)
        self._ready(0)

    def _ready(self, _mask: int) -> None:
        try:
            while self._down.recv(65536):
                pass
        except BlockingIOError:
            return
        except OSError:
            pass
        self._close()

    def _close(self) -> None:
        self._patience.cancel()
        self._loop.discard(self._down)
