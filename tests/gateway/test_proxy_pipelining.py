"""Proxies that lose what they did not ask for yet, and proxies that keep it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from tests.gateway.door import Door, Target, egress, read_all, refusal

pytestmark = pytest.mark.usefixtures("any_port", "impatient")


def step_by_step(seen: list[bytes]) -> Callable[[socket.socket], None]:
    """A proxy that throws away whatever comes with the greeting, as microsocks does."""

    def serve(sock: socket.socket) -> None:
        seen.append(sock.recv(1000))
        sock.sendall(b"\x05\x02")
        if not sock.recv(1000):
            return
        sock.sendall(b"\x01\x00")
        if not sock.recv(1000):
            return
        sock.sendall(b"\x05\x00\x00\x01" + bytes(6) + b"220 hello\r\n")
        read_all(sock)

    return serve


def test_a_proxy_that_loses_pipelined_octets_is_talked_to_step_by_step_and_that_is_remembered(
    door: Door, target: Callable[..., Target]
):
    seen: list[bytes] = []
    proxy = target(step_by_step(seen)).address
    door.to = ("127.0.0.1", 25)
    door.configure(egress(proxy=proxy, username="u", password="p"))
    door.lease("e1")
    for _ in range(3):
        with door.client() as client:
            assert client.recv(100) == b"220 hello\r\n"
    assert len(seen[0]) > 3
    assert seen[1:] == [b"\x05\x01\x02"] * 3


def test_a_proxy_that_keeps_pipelined_octets_gets_all_at_once(
    door: Door, target: Callable[..., Target]
):
    seen: list[bytes] = []

    def good(sock: socket.socket) -> None:
        seen.append(sock.recv(1000))
        sock.sendall(b"\x05\x02\x01\x00\x05\x00\x00\x01" + bytes(6) + b"220 hello\r\n")
        read_all(sock)

    door.to = ("127.0.0.1", 25)
    door.configure(egress(proxy=target(good).address, username="u", password="p"))
    door.lease("e1")
    for _ in range(2):
        with door.client() as client:
            assert client.recv(100) == b"220 hello\r\n"
    assert seen == [b"\x05\x01\x02\x01\x01u\x01p\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x19"] * 2


def test_a_slow_target_is_no_reason_to_think_ill_of_the_proxy(
    door: Door, target: Callable[..., Target]
):
    seen: list[bytes] = []

    def slow(sock: socket.socket) -> None:
        seen.append(sock.recv(1000))
        sock.sendall(b"\x05\x02\x01\x00")
        time.sleep(3)
        sock.sendall(b"\x05\x04\x00\x01" + bytes(6))
        read_all(sock)

    door.to = ("127.0.0.1", 25)
    door.configure(egress(proxy=target(slow).address, username="u", password="p"))
    door.lease("e1")
    assert b"e1 proxy-request: reply 4 (host unreachable)" in refusal(door)
    assert len(seen) == 1
