"""The gateway's control socket, which remembers what it was told."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from pathlib import Path

from postfleet.v1 import local_pb2


class Gateway:
    """The control socket; remembers what it was told."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._server: asyncio.Server | None = None
        self.lease = local_pb2.GatewayLease()
        self.leases = 0
        self.suspended: dict[str, str] = {}
        self.closed: set[str] = set()
        self.open_connections = 0
        self.heard: list[str] = []

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while self._server is not None:
                (length,) = struct.unpack(">I", await reader.readexactly(4))
                request = local_pb2.GatewayRequest.FromString(await reader.readexactly(length))
                reply = self._answer(request).SerializeToString()
                writer.write(struct.pack(">I", len(reply)) + reply)
                await writer.drain()
        writer.close()

    def _answer(self, request: local_pb2.GatewayRequest) -> local_pb2.GatewayReply:
        kind = request.WhichOneof("body") or ""
        self.heard.append(kind)
        if kind == "lease":
            self.lease = request.lease
            self.leases += 1
        elif kind == "suspensions":
            self.suspended = {s.egress_id: s.reason for s in request.suspensions.suspensions}
        elif kind == "close":
            self.closed |= set(request.close.egress_ids)
        return local_pb2.GatewayReply(
            status=local_pb2.GatewayStatus(
                version="stand-in",
                epoch=self.lease.epoch,
                egresses=[
                    local_pb2.GatewayEgressStatus(
                        egress_id="px001",
                        open_connections=self.open_connections,
                        closed="px001" in self.closed,
                    )
                ],
            )
        )
