"""Connections through the gate, straight from an address: admission, carrying, fencing."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable

import pytest

from tests.gateway.door import (
    DEADLINE_S,
    SOURCE,
    Door,
    Target,
    egress,
    eventually,
    read_all,
    read_to_cut,
)

pytestmark = pytest.mark.usefixtures("any_port")
RESET = struct.pack("ii", 1, 0)


def echo(sock: socket.socket) -> None:
    sock.sendall(b"220 hello\r\n")
    while data := sock.recv(65536):
        sock.sendall(data)


@pytest.fixture
def open_door(door: Door, target: Callable[..., Target]) -> Door:
    """A door with an egress, a lease and an echoing receiver."""
    door.to = target(echo).address
    door.configure(egress())
    door.lease("e1")
    return door


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


# --- refusals --------------------------------------------------------------------------------


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


# --- the fence -------------------------------------------------------------------------------


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


# --- close -----------------------------------------------------------------------------------


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


# --- many ------------------------------------------------------------------------------------


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
