"""Connections through the gate, straight from an address: octets pass as they are."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable

import pytest

from tests.gateway.door import (
    DEADLINE_S,
    Door,
    Target,
    echo,
    egress,
    eventually,
    greeting,
    read_all,
    talk,
)

pytestmark = pytest.mark.usefixtures("any_port")
RESET = struct.pack("ii", 1, 0)


def test_octets_pass_both_ways_and_the_end_passes_on(open_door: Door):
    with open_door.client() as client:
        assert client.recv(100) == b"220 hello\r\n"
        assert talk(client, b"EHLO x\r\n") == b"EHLO x\r\n"
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b""
    eventually(lambda: not open_door.gate.pumps, "the pump is gone")
    assert open_door.gate.tally.egresses["e1"].connected == 1


def test_what_the_receiver_says_after_the_client_has_ended_still_arrives(
    door: Door, target: Callable[..., Target]
):
    def late(sock: socket.socket) -> None:
        data = read_all(sock)
        sock.sendall(b"you said " + data)

    door.to = target(late).address
    door.configure(egress())
    door.lease("e1")
    with door.client() as client:
        client.sendall(b"QUIT")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"you said QUIT"


def test_a_receiver_that_answers_and_leaves_at_once_is_heard(
    door: Door, target: Callable[..., Target]
):
    door.to = target(lambda sock: sock.sendall(b"554 no\r\n")).address
    door.configure(egress())
    door.lease("e1")
    for _ in range(50):
        assert greeting(door) == b"554 no\r\n"


def test_the_last_words_of_a_receiver_that_resets_are_heard(
    door: Door, target: Callable[..., Target]
):
    said = threading.Event()

    def rude(sock: socket.socket) -> None:
        sock.recv(100)
        sock.sendall(b"421 too many errors\r\n")
        said.wait(DEADLINE_S)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    door.to = target(rude).address
    door.configure(egress())
    door.lease("e1")
    with door.client() as client:
        client.sendall(b"EHLO x\r\n")
        said.set()
        assert read_all(client) == b"421 too many errors\r\n"


def test_a_client_that_resets_takes_the_receivers_connection_along(
    door: Door, target: Callable[..., Target]
):
    ends: list[object] = []

    def wait_for_end(sock: socket.socket) -> None:
        try:
            ends.append(read_all(sock))
        except OSError as error:
            ends.append(error)

    door.to = target(wait_for_end).address
    door.configure(egress())
    door.lease("e1")
    client = door.client()
    client.sendall(b"DATA")
    eventually(lambda: door.gate.pumps, "connected")
    time.sleep(0.05)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()
    eventually(lambda: ends, "the receiver noticed")
    assert isinstance(ends[0], ConnectionResetError)


def test_much_arrives_whole_through_a_receiver_that_reads_slowly(
    door: Door, target: Callable[..., Target]
):
    size = 20_000_000
    got: list[int] = []

    def slow(sock: socket.socket) -> None:
        total = 0
        while chunk := sock.recv(200_000):
            total += len(chunk)
            if total < 1_000_000:
                time.sleep(0.005)
        got.append(total)
        sock.sendall(b"250 ok\r\n")

    door.to = target(slow).address
    door.configure(egress())
    door.lease("e1")
    with door.client() as client:
        client.sendall(bytes(size))
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"250 ok\r\n"
    assert got == [size]
    assert door.gate.tally.octets_out >= size or eventually(
        lambda: door.gate.tally.octets_out == size, "all octets are counted"
    )


def test_a_slow_receiver_slows_the_sender_and_not_the_gateways_memory(
    door: Door, target: Callable[..., Target]
):
    stuck = threading.Event()
    door.to = target(lambda sock: stuck.wait(DEADLINE_S)).address
    door.configure(egress())
    door.lease("e1")
    with door.client() as client:
        client.setblocking(False)
        sent, quiet = 0, 0
        while quiet < 20:
            try:
                sent += client.send(bytes(1 << 20))
                quiet = 0
            except BlockingIOError:
                quiet += 1
                time.sleep(0.01)
        (pump,) = door.gate.pumps
        assert 0 < len(pump.from_down.pending) <= 64 * 1024
        assert sent < 64 << 20
    stuck.set()


def test_a_thousand_connections_at_once_all_get_their_own_octets_back(
    door: Door, target: Callable[..., Target]
):
    door.to = target(echo).address
    sources = [f"127.0.67.{number}" for number in range(1, 21)]
    door.configure(*(egress(f"e{n}", source) for n, source in enumerate(sources)))
    door.lease(*(f"e{n}" for n in range(len(sources))))
    clients = [door.client(sources[number % 20]) for number in range(1000)]
    try:
        for number, client in enumerate(clients):
            client.sendall(b"I am %d\r\n" % number)
        eventually(
            lambda: sum(door.do(door.gate.open_connections).values()) == 1000, "all are open"
        )
        for number, client in enumerate(clients):
            expected = b"220 hello\r\nI am %d\r\n" % number
            got = b""
            while len(got) < len(expected):
                got += client.recv(100)
            assert got == expected
    finally:
        for client in clients:
            client.close()
    eventually(lambda: not door.gate.pumps, "all are gone")
