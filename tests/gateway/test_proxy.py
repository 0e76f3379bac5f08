"""Connections through SOCKS5 proxies: real ones (microsocks), and ones that behave badly."""

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
    echo,
    egress,
    eventually,
    free_port,
    read_all,
    refusal,
)

pytestmark = pytest.mark.usefixtures("any_port", "impatient")


def test_octets_pass_through_a_proxy_with_a_password(
    door: Door, target: Callable[..., Target], microsocks: tuple[str, int]
):
    door.to = target(echo).address
    door.configure(egress(proxy=microsocks, username="u", password="p"))
    door.lease("e1")
    for _ in range(20):
        with door.client() as client:
            assert client.recv(100) == b"220 hello\r\n"
            client.sendall(b"x" * 100_000)
            got = b""
            while len(got) < 100_000:
                got += client.recv(65536)
            assert got == b"x" * 100_000


def test_a_wrong_password_is_a_refusal_at_proxy_auth(
    door: Door, target: Callable[..., Target], microsocks: tuple[str, int]
):
    receiver = target(echo)
    door.to = receiver.address
    door.configure(egress(proxy=microsocks, username="u", password="wrong"))
    door.lease("e1")
    assert refusal(door).startswith(b"421 4.3.2 postfleet: e1 proxy-auth: the proxy refused")
    assert receiver.accepted == []
    assert door.gate.tally.refused["proxy-auth"] == 1


def test_a_target_that_refuses_shows_the_socks_reply_code(door: Door, microsocks: tuple[str, int]):
    door.to = ("127.0.0.1", free_port())
    door.configure(egress(proxy=microsocks, username="u", password="p"))
    door.lease("e1")
    assert refusal(door) == (
        b"421 4.3.2 postfleet: e1 proxy-request: reply 5 (connection refused)\r\n"
    )


def test_a_proxy_that_is_not_there_is_named(door: Door):
    gone = ("127.0.0.1", free_port())
    door.to = ("127.0.0.1", 25)
    door.configure(egress(proxy=gone))
    door.lease("e1")
    expected = f"e1 proxy-connect: connecting to 127.0.0.1:{gone[1]}: Connection refused"
    assert expected.encode() in refusal(door)


def test_a_proxy_that_says_nothing_is_given_up(door: Door, target: Callable[..., Target]):
    silent = target(lambda sock: threading.Event().wait(DEADLINE_S))
    door.to = ("127.0.0.1", 25)
    door.configure(egress(proxy=silent.address), connect_timeout_ms=300)
    door.lease("e1")
    words = refusal(door)
    assert b"e1 proxy-connect: talking SOCKS5 to 127.0.0.1:" in words
    assert words.endswith(b"no answer within 0.3 s\r\n")


def test_a_proxy_that_connects_forever_is_given_up_at_the_request(
    door: Door, target: Callable[..., Target]
):
    def stuck(sock: socket.socket) -> None:
        sock.recv(3)
        sock.sendall(b"\x05\x00")
        sock.recv(100)
        threading.Event().wait(DEADLINE_S)

    door.to = ("127.0.0.1", 25)
    door.configure(egress(proxy=target(stuck).address), connect_timeout_ms=300)
    door.lease("e1")
    assert (
        b"e1 proxy-request: waiting for the proxy to connect to 127.0.0.1:25: no answer within"
        in refusal(door)
    )


@pytest.mark.parametrize(
    ("octets", "stage"),
    [
        (b"", b"proxy-connect"),
        (b"\x05\x02", b"proxy-auth"),
        (b"\x05\x02\x01\x00", b"proxy-request"),
    ],
)
def test_a_proxy_that_hangs_up_is_refused_where_it_did(
    door: Door, target: Callable[..., Target], octets: bytes, stage: bytes
):
    def hang_up(sock: socket.socket) -> None:
        for start in range(0, len(octets), 2):
            sock.recv(100)
            sock.sendall(octets[start : start + 2])
        sock.recv(100)

    door.to = ("127.0.0.1", 25)
    door.configure(egress(proxy=target(hang_up).address, username="u", password="p"))
    door.lease("e1")
    assert b"e1 %s: the proxy closed the connection" % stage in refusal(door)


def test_a_reply_in_single_octets_with_the_greeting_stuck_to_it_works(
    door: Door, target: Callable[..., Target]
):
    def dribble(sock: socket.socket) -> None:
        sock.recv(3)
        for octet in b"\x05\x00":
            sock.sendall(bytes((octet,)))
            time.sleep(0.002)
        sock.recv(100)
        for octet in b"\x05\x00\x00\x01\x00\x00\x00\x00\x00":
            sock.sendall(bytes((octet,)))
            time.sleep(0.002)
        sock.sendall(b"\x00220 early\r\n")
        read_all(sock)

    door.to = ("127.0.0.1", 25)
    door.configure(egress(proxy=target(dribble).address))
    door.lease("e1")
    with door.client() as client:
        assert client.recv(100) == b"220 early\r\n"


def test_a_lease_that_ends_during_the_dialogue_ends_the_dialogue(
    door: Door, target: Callable[..., Target]
):
    ended: list[bytes] = []
    asked = threading.Event()

    def silent(sock: socket.socket) -> None:
        sock.recv(100)
        asked.set()
        ended.append(read_all(sock))

    door.to = ("127.0.0.1", 25)
    door.configure(egress(proxy=target(silent).address), connect_timeout_ms=300_000)
    door.lease("e1", trusted_ns=1_000_000_000, expires_ns=40_000_000_000)
    with door.client() as client:
        assert asked.wait(DEADLINE_S)
        assert b"e1 lease: the lease of epoch 1 is not renewed" in read_all(client)
    eventually(lambda: ended, "the proxy saw the end")


@pytest.mark.parametrize("order", ["close", "suspend"])
def test_an_order_ends_the_dialogues_that_are_under_way(
    door: Door, target: Callable[..., Target], order: str
):
    door.to = ("127.0.0.1", 25)
    door.configure(egress(proxy=target(lambda sock: read_all(sock)).address))
    door.lease("e1")
    with door.client() as client:
        eventually(lambda: door.gate.passages, "the passage is under way")
        if order == "close":
            door.do(lambda: door.gate.close(["e1"]))
        else:
            door.do(lambda: door.gate.suspend({"e1": "bad"}))
        assert b"postfleet: e1 " in read_all(client)
    assert door.do(door.gate.open_connections)["e1"] == 0


def test_a_connection_that_comes_to_be_after_the_lease_is_not_used(
    door: Door, target: Callable[..., Target]
):
    after: list[bytes] = []
    asked, go_on = threading.Event(), threading.Event()

    def slow(sock: socket.socket) -> None:
        sock.recv(3)
        sock.sendall(b"\x05\x00")
        sock.recv(10)
        asked.set()
        go_on.wait(DEADLINE_S)
        sock.sendall(b"\x05\x00\x00\x01" + bytes(6))
        try:
            after.append(read_all(sock))
        except ConnectionResetError:  # closed with our octets unread: nothing came either
            after.append(b"")

    door.to = ("127.0.0.1", 25)
    door.configure(egress(proxy=target(slow).address), connect_timeout_ms=300_000)
    door.lease("e1", trusted_ns=20_000_000_000, expires_ns=40_000_000_000)
    with door.client() as client:
        assert asked.wait(DEADLINE_S)
        door.push_clock(21)
        go_on.set()
        assert b"e1 lease: the lease of epoch 1 is not renewed" in read_all(client)
    eventually(lambda: after, "the proxy saw the end")
    assert after == [b""]
