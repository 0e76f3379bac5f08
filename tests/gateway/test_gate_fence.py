"""The gate keeps its lease: what is open ends before another node may begin."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import pytest

from tests.gateway.door import (
    Door,
    Target,
    egress,
    eventually,
    greeting,
    read_to_cut,
    talk,
)

pytestmark = pytest.mark.usefixtures("any_port")


def test_after_trusted_until_nothing_is_opened_and_what_is_open_goes_on(open_door: Door):
    open_door.lease("e1", trusted_ns=20_000_000_000, expires_ns=25_000_000_000)
    with open_door.client() as client:
        assert client.recv(100) == b"220 hello\r\n"
        open_door.push_clock(21)
        assert b"e1 lease: the lease of epoch 1 is not renewed since" in greeting(open_door)
        assert talk(client, b"DATA\r\n") == b"DATA\r\n"


def test_before_expires_at_everything_open_is_cut(open_door: Door):
    open_door.lease("e1", trusted_ns=20_000_000_000, expires_ns=25_000_000_000)
    with open_door.client() as client:
        assert client.recv(100) == b"220 hello\r\n"
        open_door.push_clock(24)
        assert read_to_cut(client) == b""
    assert open_door.gate.tally.cut == 1


def test_a_gate_that_slept_beyond_the_lease_forwards_nothing_when_it_wakes(
    door: Door, target: Callable[..., Target]
):
    """As after SIGSTOP, a frozen cgroup, a stalled loop: the octets wait in the kernel."""
    got: list[bytes] = []

    def receive(sock: socket.socket) -> None:
        sock.sendall(b"354 go on\r\n")
        with contextlib.suppress(ConnectionResetError):
            while chunk := sock.recv(65536):
                got.append(chunk)
            got.append(b"orderly end")
        got.append(b"end")

    door.to = target(receive).address
    door.configure(egress())
    door.lease("e1", trusted_ns=20_000_000_000, expires_ns=25_000_000_000)
    with door.client() as client:
        assert client.recv(100) == b"354 go on\r\n"

        def freeze() -> None:
            client.sendall(b"final dot\r\n.\r\n")
            door.push_clock(60)

        door.do(freeze)
        eventually(lambda: got, "the receiver noticed")
        assert got == [b"end"]


def test_a_lease_that_does_not_name_an_egress_cuts_its_connections_at_once(open_door: Door):
    with open_door.client() as client:
        assert client.recv(100) == b"220 hello\r\n"
        open_door.lease("e2", epoch=2)
        assert read_to_cut(client) == b""


def test_renewing_keeps_what_is_open(open_door: Door):
    with open_door.client() as client:
        assert client.recv(100) == b"220 hello\r\n"
        for _ in range(5):
            open_door.lease("e1", trusted_ns=20_000_000_000, expires_ns=25_000_000_000)
            open_door.push_clock(19)
            assert talk(client, b"NOOP\r\n") == b"NOOP\r\n"
