"""An egress closes: what runs ends, nothing begins."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from tests.gateway.door import (
    DEADLINE_S,
    Door,
    Target,
    egress,
    eventually,
    greeting,
    read_all,
)

pytestmark = pytest.mark.usefixtures("any_port")


def test_a_closed_egress_opens_nothing_and_finishes_what_runs(
    door: Door, target: Callable[..., Target]
):
    answer = threading.Event()

    def slow_answer(sock: socket.socket) -> None:
        sock.sendall(b"354 go on\r\n")
        sock.recv(100)
        answer.wait(DEADLINE_S)
        sock.sendall(b"250 queued\r\n")
        read_all(sock)

    door.to = target(slow_answer).address
    door.configure(egress())
    door.lease("e1")
    with door.client() as client:
        assert client.recv(100) == b"354 go on\r\n"
        client.sendall(b".\r\n")
        door.do(lambda: door.gate.close(["e1"]))
        assert b"e1 lease: closed in epoch 1" in greeting(door)
        assert door.do(door.gate.open_connections)["e1"] == 1
        door.push_clock(5)
        time.sleep(0.6)
        answer.set()
        assert client.recv(100) == b"250 queued\r\n"
        door.push_clock(5)
        # Between transactions an idle connection of a closed egress ends by itself.
        assert read_all(client) == b""
    eventually(lambda: not door.do(door.gate.open_connections), "none is open")


@pytest.mark.parametrize("beginning", [b"RSET\r\n", b"MAIL FROM:<a@a.test> SIZE=9\r\n"])
def test_a_closed_egress_begins_no_other_transaction_on_an_open_connection(
    door: Door, target: Callable[..., Target], beginning: bytes
):
    heard: list[bytes] = []

    def receive(sock: socket.socket) -> None:
        sock.sendall(b"220 hello\r\n")
        while data := sock.recv(1000):
            heard.append(data)
            sock.sendall(b"250 ok\r\n")

    door.to = target(receive).address
    door.configure(egress())
    door.lease("e1")
    with door.client() as client:
        assert client.recv(100) == b"220 hello\r\n"
        door.do(lambda: door.gate.close(["e1"]))
        # What runs goes on, whatever it looks like: these are octets of a message.
        for said in (b"RCPT TO:<b@b.test>\r\n", b"\x17\x03\x03 sealed", b"Received: x\r\n"):
            client.sendall(said)
            assert client.recv(100) == b"250 ok\r\n"
        client.sendall(beginning)
        assert read_all(client) == b""
    eventually(lambda: not door.do(door.gate.open_connections), "none is open")
    assert heard == [b"RCPT TO:<b@b.test>\r\n", b"\x17\x03\x03 sealed", b"Received: x\r\n"]


def test_a_message_that_speaks_like_a_client_is_no_beginning(
    door: Door, target: Callable[..., Target]
):
    gate_saw = threading.Event()

    def receive(sock: socket.socket) -> None:
        sock.sendall(b"354 go on\r\n")
        assert sock.recv(100) == b"Subject: x\r\n\r\n"
        gate_saw.set()
        sock.sendall(b"250 " + sock.recv(100))
        read_all(sock)

    door.to = target(receive).address
    door.configure(egress())
    door.lease("e1")
    with door.client() as client:
        assert client.recv(100) == b"354 go on\r\n"
        door.do(lambda: door.gate.close(["e1"]))
        client.sendall(b"Subject: x\r\n\r\n")
        assert gate_saw.wait(DEADLINE_S)
        client.sendall(b"RSET\r\n")
        assert client.recv(100) == b"250 RSET\r\n"


def test_a_close_outlives_renewals_and_ends_with_a_new_term(open_door: Door):
    open_door.do(lambda: open_door.gate.close(["e1"]))
    open_door.lease("e1")
    assert b"e1 lease: closed" in greeting(open_door)
    open_door.lease("e1", epoch=2)
    with open_door.client() as client:
        assert client.recv(100) == b"220 hello\r\n"
