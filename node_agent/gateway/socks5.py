"""The client's side of a SOCKS5 dialogue (RFC 1928, RFC 1929). Pure: octets in, octets out.

One method is offered: user name and password where there are some, else none. So a proxy can not
let us in without checking who we are. Octets after the reply are the target's and are kept.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from node_agent.gateway.admission import Stage

_VERSION = 5
_NO_AUTHENTICATION = 0
_USERNAME_PASSWORD = 2
_NO_ACCEPTABLE_METHOD = 0xFF
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4

# RFC 1928 section 6.
REPLIES = {
    1: "general SOCKS server failure",
    2: "connection not allowed by ruleset",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "command not supported",
    8: "address type not supported",
}


@dataclass(frozen=True)
class Send:
    """Write these octets (perhaps none) to the proxy, then feed what it answers."""

    data: bytes


@dataclass(frozen=True)
class Connected:
    """The proxy connected us; `early` came from the target already."""

    early: bytes


@dataclass(frozen=True)
class Failed:
    """The dialogue ended without a connection. `said_no`: by a refusal as the RFCs have it, not
    by silence, an end of file or octets that make no sense."""

    stage: Stage
    reason: str
    said_no: bool = False


class Dialogue:
    """One CONNECT to `address`:`port`. Call `start` once, then `feed` with whatever arrives.

    `pipelined`: everything is sent at once, as only one method is offered and its outcome does not
    change what follows. Saves two round trips, but not every server keeps octets it did not ask
    for (microsocks does not); proxy_manners.py knows which do.
    """

    def __init__(
        self,
        address: str,
        port: int,
        username: str = "",
        password: str = "",
        *,
        pipelined: bool = False,
    ) -> None:
        user, secret = username.encode(), password.encode()
        self._with_password = bool(user)
        # RFC 1929 section 2.
        self._credentials = bytes((1, len(user))) + user + bytes((len(secret),)) + secret
        self._request = struct.pack(
            "!BBBB4sH", _VERSION, _CONNECT, 0, _IPV4, socket.inet_aton(address), port
        )
        self._method = _USERNAME_PASSWORD if user else _NO_AUTHENTICATION
        self._buffer = b""
        self._expected: _Step = self._method_answer
        self.pipelined = pipelined
        self.stage = Stage.PROXY_CONNECT
        # True from the moment the CONNECT request is handed out.
        self.requested = False

    def start(self) -> bytes:
        """Return the first octets to send: RFC 1928 section 3."""
        greeting = bytes((_VERSION, 1, self._method))
        if not self.pipelined:
            return greeting
        self.requested = True
        return greeting + (self._credentials if self._with_password else b"") + self._request

    def feed(self, data: bytes) -> Send | Connected | Failed:
        """Take octets from the proxy, cut anyhow; return what to do now."""
        self._buffer += data
        answer = b""
        while True:
            step = self._expected()
            if step is None:
                return Send(answer)
            if not isinstance(step, bytes):
                return step
            # Pipelined, it is on its way already.
            answer += b"" if self.pipelined else step

    def ended(self) -> Failed:
        """Return what an end of file from the proxy means at this point."""
        return Failed(self.stage, "the proxy closed the connection")

    def _method_answer(self) -> bytes | Connected | Failed | None:
        if self._buffer and self._buffer[0] != _VERSION:
            return Failed(
                Stage.PROXY_CONNECT,
                f"it does not speak SOCKS5 (its first octet is 0x{self._buffer[0]:02x})",
            )
        if len(self._buffer) < 2:
            return None
        method, self._buffer = self._buffer[1], self._buffer[2:]
        if method == _NO_ACCEPTABLE_METHOD:
            offered = "user name and password" if self._with_password else "no authentication"
            return Failed(Stage.PROXY_AUTH, f"the proxy does not accept {offered}", said_no=True)
        if method != self._method:
            return Failed(Stage.PROXY_AUTH, f"the proxy chose method {method}, not offered")
        if method == _NO_AUTHENTICATION:
            return self._ask()
        self.stage = Stage.PROXY_AUTH
        self._expected = self._authentication_answer
        return self._credentials

    def _authentication_answer(self) -> bytes | Connected | Failed | None:
        if len(self._buffer) < 2:
            return None
        # The version octet is 1 by RFC 1929; some servers send 5, and only the status counts.
        status, self._buffer = self._buffer[1], self._buffer[2:]
        if status != 0:
            reason = f"the proxy refused user name or password (status {status})"
            return Failed(Stage.PROXY_AUTH, reason, said_no=True)
        return self._ask()

    def _ask(self) -> bytes:
        self.stage = Stage.PROXY_REQUEST
        self._expected = self._reply
        self.requested = True
        return self._request

    def _reply(self) -> bytes | Connected | Failed | None:
        if self._buffer and self._buffer[0] != _VERSION:
            return Failed(
                Stage.PROXY_REQUEST,
                f"the proxy's reply begins with 0x{self._buffer[0]:02x}, not with version 5",
            )
        if len(self._buffer) < 2:
            return None
        code = self._buffer[1]
        if code != 0:
            # The address that follows says nothing then; some proxies leave it out.
            reason = f"reply {code} ({REPLIES.get(code, 'not assigned')})"
            return Failed(Stage.PROXY_REQUEST, reason, said_no=True)
        if len(self._buffer) < 5:
            return None
        kind, first = self._buffer[3], self._buffer[4]
        address_octets = {_IPV4: 4, _NAME: 1 + first, _IPV6: 16}.get(kind)
        if address_octets is None:
            return Failed(Stage.PROXY_REQUEST, f"the proxy's reply has address type {kind}")
        end = 4 + address_octets + 2
        if len(self._buffer) < end:
            return None
        return Connected(self._buffer[end:])


# Octets to send, an end, or None: not enough has arrived.
_Step = Callable[[], bytes | Connected | Failed | None]
