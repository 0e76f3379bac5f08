"""Runs a SOCKS5 dialogue on a connection to the proxy."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable

from node_agent.gateway.loop import Loop
from node_agent.gateway.socks5 import Connected, Dialogue, Failed


class ProxyTalk:
    """Calls `on_connected(socket, early octets)` or `on_failed(failed)`, once.

    `permitted()` is asked right before the octets that ask for the connection are sent; when it
    says no, it has ended the matter already.
    """

    def __init__(
        self,
        loop: Loop,
        up: socket.socket,
        dialogue: Dialogue,
        permitted: Callable[[], bool],
        on_connected: Callable[[socket.socket, bytes], None],
        on_failed: Callable[[Failed], None],
    ) -> None:
        self.dialogue = dialogue
        self._loop = loop
        self._up: socket.socket | None = up
        self._permitted = permitted
        self._on_connected = on_connected
        self._on_failed = on_failed

    def start(self) -> None:
        """Say the first words."""
        if self._up is not None:
            self._loop.watch(self._up, self._ready)
            self._say(self._up, self.dialogue.start())

    def cancel(self) -> None:
        """Stop without a word. Harmless when it is over."""
        if self._up is not None:
            self._loop.discard(self._up)
            self._up = None

    def _ready(self, mask: int) -> None:
        up = self._up
        if up is None or not mask & ~select.EPOLLOUT:
            return
        try:
            data = up.recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            self._broke(error)
            return
        result = self.dialogue.feed(data) if data else self.dialogue.ended()
        if isinstance(result, Failed):
            self._fail(result)
        elif isinstance(result, Connected):
            self._connected(up, result.early)
        elif result.data:
            self._say(up, result.data)

    def _connected(self, up: socket.socket, early: bytes) -> None:
        if not early:
            # The reply is acknowledged now, not in 40 ms: a proxy without TCP_NODELAY holds the
            # target's greeting back until then.
            with contextlib.suppress(OSError):
                up.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._up = None
        self._on_connected(up, early)

    def _say(self, up: socket.socket, data: bytes) -> None:
        if self.dialogue.requested and not self._permitted():
            return
        try:
            # At most 530 octets into an empty buffer: they always fit.
            up.send(data)
        except OSError as error:
            self._broke(error)

    def _broke(self, error: OSError) -> None:
        words = os.strerror(error.errno) if error.errno else str(error)
        self._fail(Failed(self.dialogue.stage, words))

    def _fail(self, failed: Failed) -> None:
        self.cancel()
        self._on_failed(failed)
