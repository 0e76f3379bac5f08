"""The connection to the agent: who asks, what is asked, and the answer. stdin and stdout are one
connected unix socket (systemd, Accept=yes), which systemd gave to the agent's user only; the peer's
credentials are checked here once more.
"""

from __future__ import annotations

import os
import pwd
import socket
import struct
import sys

from google.protobuf.message import DecodeError
from postfleet.v1 import local_pb2

from node_agent.apply.errors import ValidationFailed
from node_agent.apply.layout import AGENT_USER
from node_agent.local.apply_reply import encode_apply_reply

# 10,000 mailboxes and keys take about 25 MB.
_MOST_OCTETS = 64 * 1024 * 1024
# The agent writes at once; who dawdles holds the lock for nobody, but a process.
_READ_TIMEOUT_S = 30.0
_UCRED = struct.Struct("3i")


def check_peer(stdin: int = 0) -> None:
    """Raise ValidationFailed unless the peer is the agent or root. A pipe's owner is not asked."""
    try:
        with socket.socket(fileno=os.dup(stdin)) as peer:
            _, uid, _ = _UCRED.unpack(
                peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            )
    except OSError as error:
        raise ValidationFailed(
            "standard input is no unix socket; requests come through /run/postfleet-apply.sock"
        ) from error
    if uid not in (0, pwd.getpwnam(AGENT_USER).pw_uid):
        raise ValidationFailed(f"user {uid} may not ask for anything; only {AGENT_USER} may")


def read_request(stdin: int = 0) -> local_pb2.ApplyRequest:
    """Read until the agent shuts its side down. Raises ValidationFailed."""
    data = bytearray()
    with socket.socket(fileno=os.dup(stdin)) as peer:
        peer.settimeout(_READ_TIMEOUT_S)
        try:
            while chunk := peer.recv(1 << 20):
                data += chunk
                if len(data) > _MOST_OCTETS:
                    raise ValidationFailed(f"the request is longer than {_MOST_OCTETS} octets")
        except TimeoutError as error:
            raise ValidationFailed(
                f"the request was not complete after {_READ_TIMEOUT_S:g} s without data "
                f"({len(data)} octets came); the writing side must be shut down"
            ) from error
        finally:
            peer.setblocking(True)
    try:
        return local_pb2.ApplyRequest.FromString(bytes(data))
    except DecodeError as error:
        raise ValidationFailed(f"{len(data)} octets that are no ApplyRequest") from error


def answer(reply: local_pb2.ApplyReply) -> None:
    """Write the reply to standard output. A peer that has left is no error: the work is done."""
    try:
        sys.stdout.buffer.write(encode_apply_reply(reply))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
