"""The same control socket for callers without an event loop (postfleet-apply and its probe).

Not for threads: one object, one caller at a time.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from postfleet.v1 import local_pb2

from node_agent.local import gateway_request
from node_agent.local.errors import LocalError, Unreachable
from node_agent.local.framing import HEADER_OCTETS, frame, message_length
from node_agent.local.gateway_client import GATEWAY_SOCKET, GATEWAY_TIMEOUT_S


class BlockingGatewayClient:
    """Methods, results and errors are those of GatewayClient; also a context manager."""

    def __init__(self, path: Path = GATEWAY_SOCKET, timeout_s: float = GATEWAY_TIMEOUT_S) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None

    def __enter__(self) -> BlockingGatewayClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def lease(
        self, epoch: int, trusted_until_ns: int, expires_at_ns: int, egress_ids: Iterable[str]
    ) -> local_pb2.GatewayStatus:
        """Replace the lease (CLOCK_BOOTTIME ns). Refused when `epoch` is lower than one seen."""
        return self.ask(
            gateway_request.lease_request(epoch, trusted_until_ns, expires_at_ns, egress_ids)
        )

    def suspend(self, reasons: Mapping[str, str]) -> local_pb2.GatewayStatus:
        """Replace the whole list of suspended egresses; egress id to reason."""
        return self.ask(gateway_request.suspensions_request(reasons))

    def close_egresses(self, egress_ids: Iterable[str]) -> local_pb2.GatewayStatus:
        """Open nothing more for these egresses; the status tells what is still open."""
        return self.ask(gateway_request.close_request(egress_ids))

    def status(self) -> local_pb2.GatewayStatus:
        """Ask for the state; changes nothing."""
        return self.ask(gateway_request.status_request())

    def at_risk(self, since_ns: int) -> list[local_pb2.GatewayAtRisk]:
        """Ask which egresses had a connection open at `since_ns` or later; changes nothing."""
        request = gateway_request.at_risk_request(since_ns)
        return list(gateway_request.read_whole_reply(self._exchange(request), "at_risk").at_risk)

    def ask(self, request: local_pb2.GatewayRequest) -> local_pb2.GatewayStatus:
        """Send one request and wait for its reply; `timeout_s` holds for each step."""
        what = request.WhichOneof("body") or "nothing"
        return gateway_request.read_reply(self._exchange(request), what)

    def _exchange(self, request: local_pb2.GatewayRequest) -> bytes:
        message = frame(request.SerializeToString())
        what = request.WhichOneof("body") or "nothing"
        try:
            if self._socket is None:
                self._socket = self._connected()
            self._socket.sendall(message)
            header = self._receive(self._socket, HEADER_OCTETS, what)
            return self._receive(self._socket, message_length(header), what)
        except OSError as error:
            self.close()
            raise Unreachable(
                f"the gateway at {self._path}: {error.strerror or error}; {what} may not be done; "
                "check `systemctl status postfleet-gateway`"
            ) from error
        except LocalError:
            self.close()
            raise

    def close(self) -> None:
        """End the connection; the next request opens one again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self._timeout_s)
            sock.connect(str(self._path))
        except OSError:
            sock.close()
            raise
        return sock

    def _receive(self, sock: socket.socket, octets: int, what: str) -> bytes:
        data = bytearray()
        while len(data) < octets:
            chunk = sock.recv(octets - len(data))
            if not chunk:
                raise Unreachable(
                    f"the gateway at {self._path} broke off before it answered {what}; ask again"
                )
            data += chunk
        return bytes(data)
