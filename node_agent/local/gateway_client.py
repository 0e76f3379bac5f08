"""The agent's connection to the gateway's control socket (asyncio).

Connects when first asked and again after a failure, so an object lives as long as its process. One
request is under way at a time; callers wait for each other in order. It retries nothing: a request
that failed raises, and the next one finds a new connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from postfleet.v1 import local_pb2

from node_agent.local import gateway_request
from node_agent.local.errors import LocalError, Unreachable
from node_agent.local.framing import HEADER_OCTETS, frame, message_length

GATEWAY_SOCKET = Path("/run/postfleet-gateway/control.sock")
GATEWAY_TIMEOUT_S = 5.0


class GatewayClient:
    """Every method returns the gateway's state after the request.

    They raise Refused (the gateway said no), Unreachable (retry; it may or may not have been done)
    or Malformed.
    """

    def __init__(self, path: Path = GATEWAY_SOCKET, timeout_s: float = GATEWAY_TIMEOUT_S) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def lease(
        self, epoch: int, trusted_until_ns: int, expires_at_ns: int, egress_ids: Iterable[str]
    ) -> local_pb2.GatewayStatus:
        """Replace the lease (CLOCK_BOOTTIME ns). Refused when `epoch` is lower than one seen."""
        return await self.ask(
            gateway_request.lease_request(epoch, trusted_until_ns, expires_at_ns, egress_ids)
        )

    async def suspend(self, reasons: Mapping[str, str]) -> local_pb2.GatewayStatus:
        """Replace the whole list of suspended egresses; egress id to reason."""
        return await self.ask(gateway_request.suspensions_request(reasons))

    async def close_egresses(self, egress_ids: Iterable[str]) -> local_pb2.GatewayStatus:
        """Open nothing more for these egresses; the status tells what is still open."""
        return await self.ask(gateway_request.close_request(egress_ids))

    async def status(self) -> local_pb2.GatewayStatus:
        """Ask for the state; changes nothing."""
        return await self.ask(gateway_request.status_request())

    async def ask(self, request: local_pb2.GatewayRequest) -> local_pb2.GatewayStatus:
        """Send one request and wait for its reply, `timeout_s` at most."""
        message = frame(request.SerializeToString())
        what = request.WhichOneof("body") or "nothing"
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout_s):
                    reply = await self._exchange(message)
            except TimeoutError as error:
                self._drop()
                raise Unreachable(
                    f"the gateway at {self._path} did not answer {what} within "
                    f"{self._timeout_s:g} s; it fences itself when its lease ends; ask again"
                ) from error
            except asyncio.IncompleteReadError as error:
                self._drop()
                raise Unreachable(
                    f"the gateway at {self._path} broke off before it answered {what}; ask again"
                ) from error
            except OSError as error:
                self._drop()
                raise Unreachable(
                    f"the gateway at {self._path}: {error.strerror or error}; {what} not done; "
                    "check `systemctl status postfleet-gateway`"
                ) from error
            except (LocalError, asyncio.CancelledError):
                # An answer that was not read would be taken for the next request's.
                self._drop()
                raise
        return gateway_request.read_reply(reply, what)

    async def aclose(self) -> None:
        """End the connection; the next request opens one again."""
        async with self._turn:
            if self._streams is not None:
                writer = self._streams[1]
                self._drop()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _exchange(self, message: bytes) -> bytes:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(str(self._path))
        reader, writer = self._streams
        writer.write(message)
        await writer.drain()
        return await reader.readexactly(message_length(await reader.readexactly(HEADER_OCTETS)))

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
