"""What the gate does not open, and how it says so."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from tests.gateway.door import (
    Door,
    Target,
    echo,
    egress,
    eventually,
    greeting,
    read_all,
)

pytestmark = pytest.mark.usefixtures("any_port")


def test_without_a_lease_nothing_is_opened(open_door: Door, target: Callable[..., Target]):
    receiver = target(echo)
    open_door.to = receiver.address
    open_door.lease("e2")
    words = greeting(open_door)
    assert words == b"421 4.3.2 postfleet: e1 lease: not in this node's lease of epoch 1\r\n"
    assert receiver.accepted == []


def test_a_gate_that_was_told_nothing_holds_no_lease(door: Door):
    door.configure(egress())
    door.to = ("127.0.0.1", 9)
    assert greeting(door) == b"421 4.3.2 postfleet: e1 lease: this node holds no lease\r\n"


def test_a_suspension_is_named_with_its_reason(open_door: Door):
    open_door.do(lambda: open_door.gate.suspend({"e1": "probe: proxy-auth"}))
    assert greeting(open_door) == b"421 4.3.2 postfleet: e1 suspended: probe: proxy-auth\r\n"
    open_door.do(lambda: open_door.gate.suspend({}))
    with open_door.client() as client:
        assert client.recv(100) == b"220 hello\r\n"


def test_a_source_that_is_no_surrogate_gets_nowhere(open_door: Door):
    words = greeting(open_door, "127.0.66.99")
    assert words.startswith(b"421 4.3.2 postfleet: - lease: no egress has the source address")


def test_a_target_inside_is_refused(open_door: Door):
    open_door.configure(egress(), allow_target_nets=())
    assert b"e1 target-connect: 127.0.0.1 is not allowed" in greeting(open_door)


def test_a_connection_that_was_not_redirected_is_refused(open_door: Door):
    open_door.to = None
    assert b"e1 target-connect: not redirected" in greeting(open_door)


def test_a_target_that_refuses_is_named(open_door: Door):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        open_door.to = gone.getsockname()
    words = greeting(open_door)
    port = open_door.to[1]
    assert words == (
        b"421 4.3.2 postfleet: e1 target-connect: "
        b"connecting to 127.0.0.1:%d: Connection refused\r\n" % port
    )


def test_the_whole_greeting_arrives_though_the_client_talks_first(open_door: Door):
    open_door.lease()
    for _ in range(50):
        with open_door.client() as client:
            client.sendall(b"EHLO impatient\r\n" * 100)
            assert read_all(client).endswith(b"\r\n")


def test_a_refused_client_that_never_leaves_is_left_after_a_while(open_door: Door):
    open_door.lease()
    with open_door.client() as client:
        read_all(client)
        open_door.push_clock(11)
        eventually(lambda: len(open_door.loop._handlers) == 2, "the socket is gone")
