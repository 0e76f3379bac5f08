"""The SMTP server at the probe address: proves that a transport reaches the gateway. Pure.

apply sends a message to probe-<nonce>@[198.18.255.254] through each changed transport; it arrives
here and the nonce shows in the gateway's status. The message goes nowhere. Speaks as much of
RFC 5321 (with PIPELINING) as smtp(8) uses; no TLS.
"""

from __future__ import annotations

import re

from node_agent.gateway.config import PROBE_ADDRESS

_LOCAL_PART = re.compile(rb"TO:\s*<([A-Za-z0-9._=+-]{1,64})@", re.IGNORECASE)
_LONGEST_LINE = 2048
# A probe is a few lines; whoever sends more is not probing.
_MOST_OCTETS = 65536

BANNER = b"220 postfleet-gateway ESMTP probe\r\n"
_EHLO = f"250-postfleet-gateway [{PROBE_ADDRESS}]\r\n250-PIPELINING\r\n250 8BITMIME\r\n".encode()


class ProbeServer:
    """One session. Write BANNER first, then what each `feed` returns, until `over`."""

    def __init__(self) -> None:
        self._buffer = b""
        self._octets = 0
        self._in_data = False
        self._recipient = ""
        # Local part of the last message that arrived whole; empty: none did.
        self.arrived = ""
        self.over = False

    def feed(self, data: bytes) -> bytes:
        """Take what the client sent; return what to answer."""
        self._octets += len(data)
        if self._octets > _MOST_OCTETS:
            self.over = True
            return b"421 4.7.0 too much for a probe\r\n"
        self._buffer += data
        answer = b""
        while not self.over:
            line, newline, rest = self._buffer.partition(b"\n")
            if not newline:
                break
            self._buffer = rest
            answer += self._line(line.rstrip(b"\r"))
        if len(self._buffer) > _LONGEST_LINE:
            self.over = True
            answer += b"421 4.7.0 line too long\r\n"
        return answer

    def _line(self, line: bytes) -> bytes:
        if self._in_data:
            if line != b".":
                return b""
            self._in_data = False
            self.arrived, self._recipient = self._recipient, ""
            return b"250 2.0.0 probe arrived\r\n"
        verb = line[:4].upper()
        if verb == b"RCPT":
            return self._rcpt(line)
        if verb == b"DATA":
            if not self._recipient:
                return b"503 5.5.1 RCPT first\r\n"
            self._in_data = True
            return b"354 go on\r\n"
        if verb == b"QUIT":
            self.over = True
            return b"221 2.0.0 bye\r\n"
        if verb == b"EHLO":
            return _EHLO
        if verb == b"RSET":
            self._recipient = ""
        return b"250 2.0.0 ok\r\n" if verb in _HARMLESS else b"502 5.5.1 not here\r\n"

    def _rcpt(self, line: bytes) -> bytes:
        match = _LOCAL_PART.search(line)
        if match is None:
            return b"550 5.1.1 only probes arrive here\r\n"
        self._recipient = match[1].decode("ascii")
        return b"250 2.1.5 ok\r\n"


_HARMLESS = frozenset({b"HELO", b"MAIL", b"RSET", b"NOOP"})
