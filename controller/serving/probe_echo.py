"""The exit-address echo: tells each TCP connection the address it came from, and a newline.

Agents connect to it through their proxies and so learn an egress's exit IP. It reads nothing, and
says nothing that the caller does not know.
"""

from __future__ import annotations

import asyncio
import contextlib
from ipaddress import IPv6Address, ip_address

from controller.serving.errors import AddressInUse
from controller.serving.settings import Endpoint

_WITHIN_S = 10.0


async def start_probe_echo(listen: Endpoint) -> asyncio.Server:
    """Begins to answer; the caller closes the server. Raises AddressInUse."""
    try:
        return await asyncio.start_server(_answer, listen.host, listen.port)
    except OSError as error:
        raise AddressInUse(
            f"cannot listen on {listen} for the exit-address echo: {error.strerror}; "
            "--probe-echo takes another address"
        ) from error


async def _answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    address = writer.get_extra_info("peername")[0]
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_WITHIN_S):
            writer.write(f"{_plain(address)}\n".encode())
            await writer.drain()
            writer.close()
            await writer.wait_closed()


def _plain(address: str) -> str:
    parsed = ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)
