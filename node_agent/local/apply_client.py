"""Asks postfleet-apply to run a spec or to act on Postfix's queue.

One request to a connection: write an ApplyRequest, shut the writing side down, read the ApplyReply
until end of file. What apply answers (also "could not: stage, error") is the returned value; only a
missing or broken answer raises. Retrying and time are the caller's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

from postfleet.v1 import local_pb2

from node_agent.local.apply_reply import decode_apply_reply
from node_agent.local.errors import Malformed, Unreachable

APPLY_SOCKET = Path("/run/postfleet-apply.sock")
# Rendering, a reload and a probe through each changed transport; requests also wait for each other.
APPLY_TIMEOUT_S = 300.0
# A reply is an error text at most; more is not from apply.
MAX_REPLY_OCTETS = 1024 * 1024


async def apply(
    request: local_pb2.ApplyRequest,
    path: Path = APPLY_SOCKET,
    timeout_s: float = APPLY_TIMEOUT_S,
) -> local_pb2.ApplyReply:
    """Have `request` done; return what apply says. Raises Unreachable or Malformed."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                # An apply that refuses early closes before it read all: its words still come.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    writer.write(request.SerializeToString())
                    writer.write_eof()
                    await writer.drain()
                return decode_apply_reply(await _read_to_end(reader))
            finally:
                writer.close()
    except TimeoutError as error:
        raise _too_slow(path, timeout_s) from error
    except OSError as error:
        raise _unreachable(path, error) from error


def apply_blocking(
    request: local_pb2.ApplyRequest,
    path: Path = APPLY_SOCKET,
    timeout_s: float = APPLY_TIMEOUT_S,
) -> local_pb2.ApplyReply:
    """Like `apply`, for callers without an event loop. `timeout_s` holds for each step."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout_s)
            sock.connect(str(path))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(request.SerializeToString())
                sock.shutdown(socket.SHUT_WR)
            data = bytearray()
            while chunk := sock.recv(65536):
                data += chunk
                _check_size(data)
            return decode_apply_reply(bytes(data))
    except TimeoutError as error:
        raise _too_slow(path, timeout_s) from error
    except OSError as error:
        raise _unreachable(path, error) from error


async def _read_to_end(reader: asyncio.StreamReader) -> bytes:
    data = bytearray()
    while chunk := await reader.read(65536):
        data += chunk
        _check_size(data)
    return bytes(data)


def _check_size(data: bytearray) -> None:
    if len(data) > MAX_REPLY_OCTETS:
        raise Malformed(f"postfleet-apply's answer is longer than {MAX_REPLY_OCTETS} octets")


def _too_slow(path: Path, timeout_s: float) -> Unreachable:
    return Unreachable(
        f"postfleet-apply at {path} did not answer within {timeout_s:g} s; it may still be at "
        "work: the node runs either the old or the new generation; ask again"
    )


def _unreachable(path: Path, error: OSError) -> Unreachable:
    return Unreachable(
        f"postfleet-apply at {path}: {error.strerror or error}; the node goes on with what it "
        "runs; check `systemctl status postfleet-apply.socket`"
    )
