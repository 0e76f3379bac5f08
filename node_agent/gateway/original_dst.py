"""Asks the kernel where a connection wanted to go before nftables redirected it here."""

from __future__ import annotations

import socket
import struct

# linux/netfilter_ipv4.h: a getsockopt of level SOL_IP that answers with a struct sockaddr_in.
_SO_ORIGINAL_DST = 80
_SOCKADDR_IN = struct.Struct("=H2s4s8x")


def original_destination(connection: socket.socket) -> tuple[str, int] | None:
    """Return (dotted quad, port), or None for a connection that was not redirected."""
    try:
        raw = connection.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, _SOCKADDR_IN.size)
    except OSError:
        return None
    _, port, address = _SOCKADDR_IN.unpack(raw)
    return socket.inet_ntoa(address), int.from_bytes(port, "big")
