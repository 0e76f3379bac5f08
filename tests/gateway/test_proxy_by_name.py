"""Proxies by name: looked up once for many; while the resolver is broken, what was known."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

from tests.gateway.door import DEADLINE_S, Door, Target, echo, egress, eventually, refusal

pytestmark = pytest.mark.usefixtures("any_port", "impatient")


def test_a_proxy_by_name_is_looked_up_once_for_many(
    door: Door, target: Callable[..., Target], microsocks: tuple[str, int]
):
    looked: list[str] = []
    slow = threading.Event()

    def lookup(name: str) -> str:
        looked.append(name)
        slow.wait(DEADLINE_S)
        return microsocks[0]

    door.resolver._lookup = lookup
    door.to = target(echo).address
    door.configure(egress(proxy=("proxy.test", microsocks[1]), username="u", password="p"))
    door.lease("e1")
    clients = [door.client() for _ in range(20)]
    eventually(lambda: len(door.gate.passages) == 20, "all wait for the name")
    slow.set()
    for client in clients:
        with client:
            assert client.recv(100) == b"220 hello\r\n"
    with door.client() as client:
        assert client.recv(100) == b"220 hello\r\n"
    assert looked == ["proxy.test"]


def test_a_name_that_is_not_found_is_named_and_asked_again_after_a_while(door: Door):
    looked: list[str] = []

    def lookup(name: str) -> str:
        looked.append(name)
        raise socket.gaierror(-2, "Name or service not known")

    door.resolver._lookup = lookup
    door.to = ("127.0.0.1", 25)
    door.configure(egress(proxy=("proxy.test", 1080)))
    door.lease("e1")
    for _ in range(3):
        assert b"e1 proxy-connect: proxy.test: Name or service not known" in refusal(door)
    assert len(looked) == 1
    door.push_clock(6)
    refusal(door)
    assert len(looked) == 2


def test_while_the_resolver_is_broken_the_address_known_before_is_used(
    door: Door, target: Callable[..., Target], microsocks: tuple[str, int]
):
    door.resolver._lookup = lambda name: microsocks[0]
    door.to = target(echo).address
    door.configure(egress(proxy=("proxy.test", microsocks[1]), username="u", password="p"))
    door.lease("e1")
    with door.client() as client:
        assert client.recv(100) == b"220 hello\r\n"

    def broken(name: str) -> str:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    door.resolver._lookup = broken
    door.push_clock(61)
    with door.client() as client:
        assert client.recv(100) == b"220 hello\r\n"
