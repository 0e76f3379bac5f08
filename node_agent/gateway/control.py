"""Serves the control socket: framed GatewayRequests in, one reply each, in order.

Peers are the agent and apply, known by the socket's permissions and by SO_PEERCRED. A peer that
sends what is no request is told so and cut off; the gate stays as it is.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import structlog
from google.protobuf.message import DecodeError
from postfleet.v1 import local_pb2

from node_agent.gateway.loop import Loop
from node_agent.local.errors import Malformed
from node_agent.local.framing import Deframer, frame

log = structlog.get_logger(__name__)

_MOST_PEERS = 32
_CHUNK_OCTETS = 4096
_UCRED = struct.Struct("3i")

CarryOut = Callable[[local_pb2.GatewayRequest], local_pb2.GatewayReply]


class ControlServer:
    """Accepts peers whose user id is among `allowed_uids`."""

    def __init__(
        self, loop: Loop, listener: socket.socket, allowed_uids: frozenset[int], do: CarryOut
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._allowed_uids = allowed_uids
        self._do = do
        self._peers: set[_Peer] = set()
        listener.setblocking(False)
        loop.watch_level(listener, lambda _mask: self._accept())

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return
        peer.setblocking(False)
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        pid, uid, _gid = _UCRED.unpack(credentials)
        if uid not in self._allowed_uids or len(self._peers) >= _MOST_PEERS:
            log.warning("control peer refused", uid=uid, pid=pid, peers=len(self._peers))
            peer.close()
            return
        self._peers.add(_Peer(self._loop, peer, self._do, self._peers.discard))


class _Peer:
    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        do: CarryOut,
        on_end: Callable[[_Peer], None],
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._do = do
        self._on_end = on_end
        self._deframer = Deframer()
        self._unsent = bytearray()
        self._over = False
        loop.watch(sock, self._ready)

    def _ready(self, _mask: int) -> None:
        """Serve one chunk of requests, then let the mail have its turn."""
        if self._over:
            return
        try:
            self._flush()
            # A peer that does not read its replies is not read either.
            if not self._unsent and self._serve(self._sock.recv(_CHUNK_OCTETS)):
                self._loop.call_soon(lambda: self._ready(0))
                return
        except BlockingIOError:
            return
        except Malformed as error:
            log.warning("control peer cut off", error=str(error))
            self._say(str(error))
            self._end()
        except OSError:
            self._end()

    def _serve(self, data: bytes) -> bool:
        """Answer what is complete; return False at the end of file."""
        if not data:
            self._end()
            return False
        for message in self._deframer.feed(data):
            try:
                request = local_pb2.GatewayRequest.FromString(message)
            except DecodeError as error:
                raise Malformed(f"{len(message)} octets that are no GatewayRequest") from error
            self._unsent += frame(self._do(request).SerializeToString())
        self._flush()
        return True

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent)
            except BlockingIOError:
                return
            del self._unsent[:sent]

    def _say(self, error: str) -> None:
        self._unsent += frame(local_pb2.GatewayReply(error=error).SerializeToString())
        try:
            self._flush()
        except OSError:
            return

    def _end(self) -> None:
        self._over = True
        self._loop.discard(self._sock)
        self._on_end(self)
