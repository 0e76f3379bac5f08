"""The real gateway process behind nft: redirected connections, real proxies, signals, freezing."""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_agent.gateway.clock import boottime_ns
from node_agent.local.errors import Malformed, Refused, Unreachable
from node_agent.local.framing import frame
from tests.gateway.door import DEADLINE_S, eventually, read_all, read_to_cut
from tests.gateway.world import PROXY, RECEIVER, S, World, dante

pytestmark = pytest.mark.root
DIRECT = {"id": "e1", "surrogate_address": "198.18.0.1", "address": RECEIVER}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        yield made


@pytest.fixture
def running(world: World) -> World:
    """A gateway with the egress e1 straight from an address, and no lease yet."""
    world.configure(DIRECT)
    world.start()
    return world


def accept(listener: socket.socket) -> socket.socket:
    sock, _ = listener.accept()
    sock.settimeout(DEADLINE_S)
    return sock


def test_a_redirected_connection_arrives_where_it_wanted_to_go(running: World):
    running.lease("e1")
    with running.listener() as listener, running.client() as client, accept(listener) as server:
        server.sendall(b"220 mx\r\n")
        assert client.recv(100) == b"220 mx\r\n"
        assert server.getpeername()[0] == RECEIVER
        client.sendall(b"QUIT\r\n")
        assert server.recv(100) == b"QUIT\r\n"


def test_a_restarted_gateway_holds_no_lease(running: World):
    with running.client() as client:
        assert b"e1 lease: this node holds no lease" in read_all(client)


def test_who_connects_to_the_gateway_without_redirection_gets_nowhere(running: World):
    running.lease("e1")
    client = running.inside(
        lambda: socket.create_connection(
            ("127.0.0.1", 10025), DEADLINE_S, source_address=("198.18.0.1", 0)
        )
    )
    with client:
        assert b"e1 target-connect: " in read_all(client)


def test_the_probe_is_answered_without_a_lease_and_shows_its_nonce(running: World):
    with running.client(target="198.18.255.254") as client:
        client.sendall(
            b"EHLO x\r\nMAIL FROM:<probe@e1.probe.postfleet.invalid>\r\n"
            b"RCPT TO:<probe-n0nce@[198.18.255.254]>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n"
        )
        assert read_all(client).endswith(b"221 2.0.0 bye\r\n")
    with running.agent() as agent:
        (egress,) = agent.status().egresses
    assert egress.last_probe == "probe-n0nce"


def test_mail_passes_a_real_dante_with_a_password_and_a_wrong_one_is_named(world: World):
    proxy = {"host": PROXY, "port": 1080, "username": "u", "password": "p"}
    world.configure(
        {"id": "e1", "surrogate_address": "198.18.0.1", "socks5": proxy},
        {"id": "e2", "surrogate_address": "198.18.0.2", "socks5": proxy | {"password": "no"}},
    )
    world.start()
    world.lease("e1", "e2")
    with dante(world, "p"):
        with world.listener() as listener:
            for _ in range(20):
                with world.client() as client, accept(listener) as server:
                    server.sendall(b"220 mx\r\n")
                    assert client.recv(100) == b"220 mx\r\n"
                    assert server.getpeername()[0] == PROXY
        with world.client(source="198.18.0.2") as client:
            assert b"e2 proxy-auth: the proxy refused user name or password" in read_all(client)
        with world.client() as client:
            assert b"e1 proxy-request: reply 5 (connection refused)" in read_all(client)


# --- the kernel's hand -------------------------------------------------------------------------


def test_a_frozen_gateway_is_ended_by_the_kernel_before_the_lease_is_over(running: World):
    running.lease("e1")
    with running.listener() as listener, running.client() as client, accept(listener) as server:
        server.sendall(b"354 go on\r\n")
        assert client.recv(100) == b"354 go on\r\n"
        expires_at_ns = running.lease("e1", trusted_s=1, ttl_s=9)
        running.signal(signal.SIGSTOP)
        client.sendall(b"the final dot\r\n.\r\n")
        got = read_to_cut(server)
        assert boottime_ns() < expires_at_ns
        assert got == b""
    assert running.gateway is not None
    assert running.gateway.wait(DEADLINE_S) == -signal.SIGKILL


def test_a_gateway_frozen_and_thawed_within_the_lease_goes_on(running: World):
    running.lease("e1")
    with running.listener() as listener, running.client() as client, accept(listener) as server:
        running.signal(signal.SIGSTOP)
        client.sendall(b"EHLO x\r\n")
        time.sleep(0.3)
        running.signal(signal.SIGCONT)
        assert server.recv(100) == b"EHLO x\r\n"


def test_an_idle_connection_is_cut_before_the_lease_is_over_and_the_gateway_lives(running: World):
    running.lease("e1")
    with running.listener() as listener, running.client() as client, accept(listener) as server:
        expires_at_ns = running.lease("e1", trusted_s=0.5, ttl_s=4.5)
        assert read_to_cut(client) == b""
        with pytest.raises(ConnectionResetError):
            read_all(server)
        assert boottime_ns() < expires_at_ns
    time.sleep(max(0.0, (expires_at_ns - boottime_ns()) / S))
    with running.client() as client:
        assert b"e1 lease: the lease of epoch 1 is not renewed" in read_all(client)


def test_octets_the_kernel_still_holds_do_not_go_out_after_the_cut(running: World):
    """A receiver that does not read, then reads after the lease: a reset, not the rest."""
    running.lease("e1")
    with running.listener() as listener, running.client() as client, accept(listener) as server:
        client.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += client.send(bytes(65536))
        expires_at_ns = running.lease("e1", trusted_s=0.5, ttl_s=1.5)
        time.sleep(max(0.0, (expires_at_ns - boottime_ns()) / S))
        assert len(read_to_cut(server)) < sent


# --- orders, configuration, metrics ------------------------------------------------------------


def test_a_bad_file_keeps_the_old_one_and_says_so(running: World):
    running.lease("e1")
    running.config.write_text('{"version": 1, "egresses": [{"id": "?"}]}')
    running.signal(signal.SIGHUP)
    with running.agent() as agent:
        status = eventually(
            lambda: (s := agent.status()).config_error and s, "the error shows in the status"
        )
        assert "egresses.0.id" in status.config_error
        assert (status.config_generation, status.egresses[0].egress_id) == (1, "e1")
        running.configure(DIRECT, DIRECT | {"id": "e2", "surrogate_address": "198.18.0.2"},
                          generation=2)  # fmt: skip
        running.signal(signal.SIGHUP)
        status = eventually(
            lambda: (s := agent.status()).config_generation == 2 and s, "the new one is in force"
        )
    assert status.config_error == ""
    assert [egress.egress_id for egress in status.egresses] == ["e1", "e2"]


def test_a_gateway_without_a_configuration_waits_for_one(world: World):
    world.start()
    with world.agent() as agent:
        assert "No such file" in agent.status().config_error
        world.configure(DIRECT)
        world.signal(signal.SIGHUP)
        eventually(lambda: agent.status().config_generation == 1, "configured")


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", frame(b"\xff\xff\xff"), b"\x7f\xff\xff\xff", frame(b"")],
)
def test_garbage_on_the_control_socket_harms_nobody(running: World, garbage: bytes):
    running.lease("e1")
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(running.control))
        stranger.settimeout(DEADLINE_S)
        stranger.sendall(garbage)
        stranger.shutdown(socket.SHUT_WR)
        assert len(read_all(stranger)) > 4
    with running.agent() as agent:
        assert agent.status().epoch == 1


def test_a_peer_that_never_reads_is_not_read_and_others_are_served(running: World):
    with socket.socket(socket.AF_UNIX) as stuck:
        stuck.connect(str(running.control))
        stuck.settimeout(1)
        with pytest.raises(TimeoutError):
            stuck.sendall(frame(b"\x22\x00") * 1_000_000)
        with running.agent() as agent:
            agent.status()


def test_another_user_may_not_give_orders(running: World):
    running.control.chmod(0o777)
    for parent in running.control.parents[:3]:
        parent.chmod(0o755)
    script = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        "s.sendall(bytes((0,0,0,2,0x22,0))); sys.exit(len(s.recv(100)))"
    )
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups",
         "/usr/bin/python3", "-c", script, str(running.control)],
        capture_output=True,
        text=True,
    )  # fmt: skip
    cut_off = done.returncode == 0 or "reset" in done.stderr or "Broken pipe" in done.stderr
    assert cut_off, done.stderr


def test_a_stale_lease_is_refused_and_the_held_one_stays(running: World):
    running.lease("e1", epoch=5)
    with pytest.raises(Refused, match="epoch 4 is older than 5"):
        running.lease("e1", epoch=4)
    with running.agent() as agent:
        assert agent.status().epoch == 5


def test_the_metrics_tell_what_happened(running: World):
    with running.client() as client:
        read_all(client)
    running.lease("e1")
    with running.listener() as listener, running.client() as client, accept(listener) as server:
        client.sendall(b"QUIT\r\n")
        server.recv(100)

        def fetch() -> str:
            with urllib.request.urlopen(
                "http://127.0.0.1:9602/metrics", timeout=DEADLINE_S
            ) as page:
                return str(page.read().decode())

        text = running.inside(fetch)
    assert 'postfleet_gateway_connections_total{egress="e1"} 1.0' in text
    assert 'postfleet_gateway_refusals_total{stage="lease"} 1.0' in text
    assert 'postfleet_gateway_open_connections{egress="e1"} 1.0' in text
    assert "postfleet_gateway_connect_seconds_count 1.0" in text
    assert "postfleet_gateway_lease_epoch 1.0" in text


def test_a_client_that_resets_while_the_way_is_made_leaves_nothing_behind(running: World):
    running.lease("e1")
    with running.listener() as listener:
        for _ in range(100):
            client = running.client()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        with running.agent() as agent:
            eventually(
                lambda: not any(e.open_connections for e in agent.status().egresses), "all gone"
            )
        listener.settimeout(0.1)


def test_the_process_that_is_gone_is_named_as_unreachable(running: World):
    assert running.gateway is not None
    running.gateway.kill()
    running.gateway.wait()
    with pytest.raises((Unreachable, Malformed)), running.agent() as agent:
        agent.status()
