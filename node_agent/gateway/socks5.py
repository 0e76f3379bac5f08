"""The client's side of a SOCKS5 dialogue (RFC 1928, RFC 1929). Pure: octets in, octets out.

One method is offered: user name and password where there are some, else none. So a proxy can not
let us in without checking who we are. Octets after the reply are the target's and are kept.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

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
    """The dialogue ended without a connection."""

    stage: Stage
    reason: str


class Dialogue:
    """One CONNECT to `address`:`port`. Call `start` once, then `feed` with whatever arrives."""

    def __init__(self, address: str, port: int, username: str = "", password: str = "") -> None:
        self._username = username.encode()
        self._password = password.encode()
        self._request = struct.pack(
            "!BBBB4sH", _VERSION, _CONNECT, 0, _IPV4, IPv4Address(address).packed, port
        )
        self._method = _USERNAME_PASSWORD if username else _NO_AUTHENTICATION
        self._buffer = b""
        self._expected = self._method_answer
        self.stage = Stage.PROXY_CONNECT
        # True from the moment the CONNECT request is handed out.
        self.requested = False

    def start(self) -> bytes:
        """Return the first octets to send: RFC 1928 section 3."""
        return bytes((_VERSION, 1, self._method))

    def feed(self, data: bytes) -> Send | Connected | Failed:
        """Take octets from the proxy, cut anyhow; return what to do now."""
        self._buffer += data
        return self._expected()

    def ended(self) -> Failed:
        """Return what an end of file from the proxy means at this point."""
        return Failed(self.stage, "the proxy closed the connection")

    def _method_answer(self) -> Send | Connected | Failed:
        if self._buffer and self._buffer[0] != _VERSION:
            return Failed(
                Stage.PROXY_CONNECT,
                f"it does not speak SOCKS5 (its first octet is 0x{self._buffer[0]:02x})",
            )
        if len(self._buffer) < 2:
            return Send(b"")
        method, self._buffer = self._buffer[1], self._buffer[2:]
        if method == _NO_ACCEPTABLE_METHOD:
            offered = "user name and password" if self._username else "no authentication"
            return Failed(Stage.PROXY_AUTH, f"the proxy does not accept {offered}")
        if method != self._method:
            return Failed(Stage.PROXY_AUTH, f"the proxy chose method {method}, not offered")
        if method == _NO_AUTHENTICATION:
            return self._send_request()
        self.stage = Stage.PROXY_AUTH
        self._expected = self._authentication_answer
        # RFC 1929 section 2. A proxy may not speak before it is asked; what it said is kept.
        return Send(
            bytes((1, len(self._username)))
            + self._username
            + bytes((len(self._password),))
            + self._password
        )

    def _authentication_answer(self) -> Send | Connected | Failed:
        if len(self._buffer) < 2:
            return Send(b"")
        # The version octet is 1 by RFC 1929; some servers send 5, and only the status counts.
        status, self._buffer = self._buffer[1], self._buffer[2:]
        if status != 0:
            return Failed(
                Stage.PROXY_AUTH, f"the proxy refused user name or password (status {status})"
            )
        return self._send_request()

    def _send_request(self) -> Send:
        self.stage = Stage.PROXY_REQUEST
        self._expected = self._reply
        self.requested = True
        return Send(self._request)

    def _reply(self) -> Send | Connected | Failed:
        if self._buffer and self._buffer[0] != _VERSION:
            return Failed(
                Stage.PROXY_REQUEST,
                f"the proxy's reply begins with 0x{self._buffer[0]:02x}, not with version 5",
            )
        if len(self._buffer) < 2:
            return Send(b"")
        code = self._buffer[1]
        if code != 0:
            # The address that follows says nothing then; some proxies leave it out.
            return Failed(
                Stage.PROXY_REQUEST, f"reply {code} ({REPLIES.get(code, 'not assigned')})"
            )
        if len(self._buffer) < 5:
            return Send(b"")
        kind, first = self._buffer[3], self._buffer[4]
        address_octets = {_IPV4: 4, _NAME: 1 + first, _IPV6: 16}.get(kind)
        if address_octets is None:
            return Failed(Stage.PROXY_REQUEST, f"the proxy's reply has address type {kind}")
        end = 4 + address_octets + 2
        if len(self._buffer) < end:
            return Send(b"")
        return Connected(self._buffer[end:])
