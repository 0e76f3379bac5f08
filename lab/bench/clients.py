"""Connects in the ground's namespace: times single messages, or holds connections.

Run as `python -m lab.bench.clients latency COUNT` or `… hold COUNT`; prints JSON. It is a process
of its own because a network namespace belongs to a process, not to a function.
"""

from __future__ import annotations

import json
import resource
import socket
import sys
import time

from python_socks.sync import Proxy

from lab.bench.exim_config import PASSWORD, USER
from lab.bench.ground import PROXIES, RECEIVER, SURROGATES
from lab.bench.receiver import TIMED_PORT
from lab.proxies_config import PORT

_MESSAGE = b"Subject: bench\r\n\r\n" + (b"x" * 70 + b"\r\n") * 57 + b".\r\n"
_STEPS = (
    b"EHLO n1.bench.test\r\n",
    b"MAIL FROM:<a@bench.test>\r\nRCPT TO:<b@bench.test>\r\nDATA\r\n",
    _MESSAGE,
    b"QUIT\r\n",
)
_WARM_UP = 20


def by_python_socks(number: int) -> socket.socket:
    """Connect by python-socks, the reference."""
    proxy = Proxy.from_url(f"socks5://{USER}:{PASSWORD}@{PROXIES[number]}:{PORT}")
    connected: socket.socket = proxy.connect(RECEIVER, TIMED_PORT)
    return connected


def by_gateway(number: int) -> socket.socket:
    """Connect as Postfix's transport does; nft redirects to the gateway."""
    source = (SURROGATES[number], 0)
    return socket.create_connection((RECEIVER, TIMED_PORT), 30, source_address=source)


def one_message(connected: socket.socket) -> None:
    """Send one 4 KB message over a new connection and read every answer."""
    with connected as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _answers(sock, 1)
        for step, answers in zip(_STEPS, (1, 3, 1, 1), strict=True):
            sock.sendall(step)
            _answers(sock, answers)


def latency(count: int) -> dict[str, list[float]]:
    """Time `count` messages each way, turn about; milliseconds."""
    times: dict[str, list[float]] = {"reference": [], "gateway": []}
    ways = {"reference": by_python_socks, "gateway": by_gateway}
    for turn in range(-_WARM_UP, count):
        for name, way in ways.items():
            began = time.perf_counter()
            one_message(way(turn % len(PROXIES)))
            if turn >= 0:
                times[name].append((time.perf_counter() - began) * 1e3)
    return times


def hold(count: int) -> None:
    """Open `count` connections, say so, hold them until standard input ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 100:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
    held = [by_gateway(number % len(SURROGATES)) for number in range(count)]
    for sock in held:
        _answers(sock, 1)
        sock.sendall(_STEPS[0])
        _answers(sock, 1)
    print(json.dumps({"held": len(held)}), flush=True)
    sys.stdin.read()


def _answers(sock: socket.socket, count: int) -> None:
    """Read `count` complete SMTP replies."""
    text = b""
    while _complete(text) < count:
        chunk = sock.recv(65536)
        if not chunk:
            raise ConnectionError(f"ended after {text!r}")
        text += chunk
    if text[:1] not in b"23":
        raise ConnectionError(f"refused: {text!r}")


def _complete(text: bytes) -> int:
    whole = text[: text.rfind(b"\n") + 1].splitlines()
    return sum(line[3:4] != b"-" for line in whole)


if __name__ == "__main__":
    if sys.argv[1] == "latency":
        print(json.dumps(latency(int(sys.argv[2]))))
    else:
        hold(int(sys.argv[2]))
