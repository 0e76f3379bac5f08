"""One look through one egress: TCP to the proxy, authentication, CONNECT, exit address.

Blocking (PySocks); runs in a thread. What does not work is the result, not an error.
"""

from __future__ import annotations

import errno
import socket
import time
from dataclasses import dataclass

import socks  # type: ignore[import-untyped]
from postfleet.v1 import spec_pb2

LONGEST_ECHO_OCTETS = 64
# How long a proxy may take to accept a connection.
REACH_S = 10.0
# As PySocks writes them: network unreachable, host unreachable, connection refused, TTL expired.
_OF_TARGET = ("0x03", "0x04", "0x05", "0x06")
# What a connection from an own address says when the address is not this machine's.
_OURS = (errno.EADDRNOTAVAIL, errno.EINVAL)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Fields of ProbeReport (node.proto). `stage` is '' when healthy.

    `doubt`: it may be the target's failure as well as the egress's.
    """

    egress_id: str
    stage: str
    detail: str
    exit_ip: str
    latency_ms: int
    doubt: bool = False

    @property
    def healthy(self) -> bool:
        """Whether all of it worked."""
        return not self.stage


def probe(egress: spec_pb2.Egress, target: str, timeout_s: float) -> ProbeResult:
    """Look through `egress` at the echo `target` ("host:port"; '': only reach the proxy)."""
    began = time.monotonic()
    exit_ip = ""
    try:
        exit_ip = _look(egress, target, timeout_s)
    except _ProbeFailed as failure:
        return ProbeResult(
            egress.id, failure.stage, failure.detail, "", _ms_since(began), failure.doubt
        )
    latency_ms = _ms_since(began)
    if exit_ip and exit_ip != egress.public_ip:
        detail = f"leaves as {exit_ip} where {egress.public_ip} is expected"
        return ProbeResult(egress.id, "exit-address", detail, exit_ip, latency_ms)
    return ProbeResult(egress.id, "", "", exit_ip, latency_ms)


def leads_to(egress: spec_pb2.Egress, target: str, timeout_s: float) -> ProbeResult:
    """Whether a connection through `egress` to `target` ("host:port") comes about, no more."""
    began = time.monotonic()
    try:
        _connect(egress, target, timeout_s).close()
    except _ProbeFailed as failure:
        return ProbeResult(
            egress.id, failure.stage, failure.detail, "", _ms_since(began), failure.doubt
        )
    return ProbeResult(egress.id, "", "", "", _ms_since(began))


class _ProbeFailed(Exception):
    def __init__(self, stage: str, detail: object, *, doubt: bool = False) -> None:
        super().__init__(stage, detail)
        self.stage = stage
        self.detail = str(detail)
        self.doubt = doubt


def _look(egress: spec_pb2.Egress, target: str, timeout_s: float) -> str:
    """The exit address the echo tells, '' without a target."""
    if not target:
        if egress.WhichOneof("exit") != "address":
            _reach(egress.socks5, timeout_s).close()
        return ""
    with _connect(egress, target, timeout_s) as connection:
        return _echo(connection, target)


def _connect(egress: spec_pb2.Egress, target: str, timeout_s: float) -> socket.socket:
    if egress.WhichOneof("exit") == "address":
        return _direct(egress.address.address, target, timeout_s)
    return _through(egress.socks5, target, timeout_s)


def _reach(proxy: spec_pb2.Socks5Exit, timeout_s: float) -> socket.socket:
    try:
        return socket.create_connection((proxy.host, proxy.port), timeout_s)
    except OSError as error:
        raise _ProbeFailed("tcp", f"{proxy.host}:{proxy.port}: {error}") from error


def _direct(address: str, target: str, timeout_s: float) -> socket.socket:
    try:
        return socket.create_connection(_split(target), timeout_s, (address, 0))
    except OSError as error:
        doubt = error.errno not in _OURS
        raise _ProbeFailed("tcp", f"{target} from {address}: {error}", doubt=doubt) from error


def _through(proxy: spec_pb2.Socks5Exit, target: str, timeout_s: float) -> socket.socket:
    # PySocks knows one timeout, and a proxy may take long to connect to a target far away. Whether
    # anybody is there shows sooner: four SYNs go out in 10 s (RFC 6298 section 2.1).
    _reach(proxy, min(timeout_s, REACH_S)).close()
    sock = socks.socksocket()
    sock.set_proxy(
        socks.SOCKS5,
        proxy.host,
        proxy.port,
        rdns=True,
        username=proxy.username or None,
        password=proxy.password or None,
    )
    sock.settimeout(timeout_s)
    try:
        sock.connect(_split(target))
    except OSError as error:
        sock.close()
        raise _ProbeFailed(*_stage(error), doubt=_may_be_the_targets(error)) from error
    connected: socket.socket = sock
    return connected


def _stage(error: OSError) -> tuple[str, str]:
    """(stage, words) of what PySocks raised; it wraps its own errors as "Socket error"."""
    inner = getattr(error, "socket_err", None)
    if isinstance(error, socks.SOCKS5AuthError) or isinstance(inner, socks.SOCKS5AuthError):
        return "proxy-auth", str(inner or error)
    if isinstance(error, socks.ProxyConnectionError):
        return "tcp", str(error)
    return "proxy-request", str(inner or error)


def _may_be_the_targets(error: OSError) -> bool:
    """Replies about the target (RFC 1928 section 6), and silence: the proxy may still be trying."""
    inner = getattr(error, "socket_err", None)
    if isinstance(error, socks.ProxyConnectionError | socks.SOCKS5AuthError):
        return False
    if isinstance(inner, TimeoutError) or isinstance(error, TimeoutError):
        return True
    replies = (str(e)[:4] for e in (error, inner) if isinstance(e, socks.SOCKS5Error))
    return any(reply in _OF_TARGET for reply in replies)


def _echo(connection: socket.socket, target: str) -> str:
    """The one line the echo service says."""
    said = b""
    try:
        while b"\n" not in said and len(said) < LONGEST_ECHO_OCTETS:
            octets = connection.recv(LONGEST_ECHO_OCTETS)
            if not octets:
                break
            said += octets
    except OSError as error:
        words = f"{target} does not tell: {error}"
        raise _ProbeFailed("exit-address", words, doubt=True) from error
    line = said.split(b"\n")[0].strip().decode("ascii", "replace")
    if not line:
        words = f"{target} ended without telling the address"
        raise _ProbeFailed("exit-address", words, doubt=True)
    return line


def _split(target: str) -> tuple[str, int]:
    host, _, port = target.rpartition(":")
    return host, int(port)


def _ms_since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
