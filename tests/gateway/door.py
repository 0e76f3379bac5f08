"""A gate that runs in a thread of the test, with real sockets and a clock that can be pushed."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from node_agent.gateway import lease
from node_agent.gateway.clock import boottime_ns
from node_agent.gateway.config import EgressConfig, GatewayConfig, Socks5Proxy
from node_agent.gateway.gate import Gate
from node_agent.gateway.loop import Loop
from node_agent.gateway.resolver import Resolver

LOOPBACK = (IPv4Network("127.0.0.0/8"),)
# Loopback addresses stand for surrogates: tests without root cannot add 198.18.0.0/15.
SOURCE = "127.0.66.1"
# How long a test waits for what must come; no test measures time.
DEADLINE_S = 60.0
LONG_NS = 3_000_000_000_000


def egress(
    egress_id: str = "e1",
    source: str = SOURCE,
    proxy: tuple[str, int] | None = None,
    username: str = "",
    password: str = "",
) -> EgressConfig:
    """An egress at a loopback "surrogate"; without `proxy` it goes out from 127.0.0.1."""
    socks5 = proxy and Socks5Proxy(
        host=proxy[0], port=proxy[1], username=username, password=password
    )
    return EgressConfig.model_construct(
        id=egress_id,
        surrogate_address=IPv4Address(source),
        socks5=socks5,
        address=None if proxy else IPv4Address("127.0.0.1"),
    )


class Door:
    """A gate in a thread. `to` is where every connection wanted to go."""

    def __init__(self) -> None:
        self.ahead_ns = 0
        self.to: tuple[str, int] | None = None
        self.loop = Loop(lambda: boottime_ns() + self.ahead_ns)
        self.resolver = Resolver(self.loop)
        self.gate = Gate(self.loop, self.resolver, None, lambda _sock: self.to)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.gate.listen(self.listener)
        self.failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.loop.run()
        except BaseException as error:
            self.failed = error

    def do(self, call: Callable[[], Any]) -> Any:
        """Run `call` in the gate's thread and return what it returns."""
        done, result = threading.Event(), []

        def run() -> None:
            try:
                result.append(call())
            except Exception as error:
                result.append(error)
            done.set()

        self.loop.call_threadsafe(run)
        assert done.wait(DEADLINE_S), f"the loop is gone: {self.failed!r}"
        if isinstance(result[0], Exception):
            raise result[0]
        return result[0]

    def configure(self, *egresses: EgressConfig, **fields: Any) -> None:
        fields = {
            "version": 1,
            "generation": 1,
            "connect_timeout_ms": 5000,
            "allow_target_nets": LOOPBACK,
        } | fields
        config = GatewayConfig.model_construct(egresses=egresses, **fields)
        self.do(lambda: self.gate.configure(config))

    def lease(
        self,
        *egress_ids: str,
        epoch: int = 1,
        trusted_ns: int = LONG_NS,
        expires_ns: int = LONG_NS + 5_000_000_000,
    ) -> None:
        """Grant a lease; times count from now."""

        def grant() -> None:
            now = self.loop.clock()
            held = self.gate.rules.lease
            times = (now + trusted_ns, now + expires_ns)
            self.gate.hold(lease.grant(held, epoch, *times, egress_ids, now))

        self.do(grant)

    def push_clock(self, seconds: float) -> None:
        """Let the gate believe that time has passed."""
        self.ahead_ns += int(seconds * 1e9)

    def client(self, source: str = SOURCE) -> socket.socket:
        """Connect as Postfix's transport would."""
        return socket.create_connection(
            self.listener.getsockname(), DEADLINE_S, source_address=(source, 0)
        )

    def close(self) -> None:
        self.loop.call_threadsafe(self.loop.stop)
        self._thread.join(DEADLINE_S)
        for pump in list(self.gate.pumps):
            pump.cut()
        for passage in list(self.gate.passages):
            passage.abandon()
            passage.down.close()
        for _ in range(10):
            self.loop.run_once(0.01)  # farewells whose clients have left
        self.listener.close()
        self.loop.close()
        if self.failed:
            raise self.failed


class Target:
    """A receiver: `conversation(socket)` runs in a thread for each connection."""

    def __init__(self, conversation: Callable[[socket.socket], None], host: str) -> None:
        self._conversation = conversation
        self._listener = socket.create_server((host, 0), backlog=4096)
        self.address: tuple[str, int] = self._listener.getsockname()
        self.accepted: list[tuple[str, int]] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                sock, peer = self._listener.accept()
            except OSError:
                return
            self.accepted.append(peer)
            sock.settimeout(DEADLINE_S)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            self._conversation(sock)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def read_all(sock: socket.socket) -> bytes:
    """Read to the end of file; a reset raises."""
    data = b""
    while chunk := sock.recv(65536):
        data += chunk
    return data


def read_to_cut(sock: socket.socket) -> bytes:
    """Read until the connection is gone, by an end of file or a reset; return what came."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := sock.recv(65536):
            data += chunk
    return data


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Wait until `condition()` holds, and return it."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.01)
    raise AssertionError(f"never came true: {what}")


def echo(sock: socket.socket) -> None:
    sock.sendall(b"220 hello\r\n")
    while data := sock.recv(65536):
        sock.sendall(data)


def greeting(door: Door, source: str = SOURCE) -> bytes:
    """Connect and return all that comes until the end."""
    with door.client(source) as client:
        return read_all(client)


def talk(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    answer = b""
    while len(answer) < len(data):
        chunk = client.recv(65536)
        assert chunk, f"cut after {answer!r}"
        answer += chunk
    return answer


def refusal(door: Door) -> bytes:
    """What a client is told that is let nowhere."""
    with door.client() as client:
        return read_all(client)


def free_port() -> int:
    """A port of loopback at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])
