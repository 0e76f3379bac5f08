"""Runs the probe's SMTP server on one accepted socket."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from node_agent.gateway.farewell import Farewell
from node_agent.gateway.loop import Loop
from node_agent.gateway.probe_smtp import BANNER, ProbeServer

# A probe is a matter of milliseconds; nobody holds a descriptor longer than this.
_PATIENCE_S = 30.0


class ProbeSession:
    """Keeps itself alive; calls `on_arrival(local part)` when a probe message arrived whole."""

    def __init__(self, loop: Loop, down: socket.socket, on_arrival: Callable[[str], None]) -> None:
        self._loop = loop
        self._down = down
        self._on_arrival = on_arrival
        self._server = ProbeServer()
        self._patience = loop.call_in(_PATIENCE_S, self._close)
        loop.watch(down, self._ready)
        with contextlib.suppress(OSError):
            down.send(BANNER)

    def _ready(self, _mask: int) -> None:
        try:
            while data := self._down.recv(65536):
                answer = self._server.feed(data)
                if self._server.arrived:
                    self._on_arrival(self._server.arrived)
                if self._server.over:
                    self._patience.cancel()
                    Farewell(self._loop, self._down, answer)
                    return
                self._down.send(answer)
        except BlockingIOError:
            return
        except OSError:
            pass
        self._close()

    def _close(self) -> None:
        self._patience.cancel()
        self._loop.discard(self._down)
