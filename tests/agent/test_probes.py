"""Probes through real SOCKS5 servers (microsocks): each failure is told with its stage."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from postfleet.v1 import spec_pb2

from node_agent.agent.probes.probe import probe
from node_agent.agent.probes.schedule import FIRST_SPREAD_S, ProbeSchedule

pytestmark = pytest.mark.skipif(not shutil.which("microsocks"), reason="needs microsocks")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def proxy() -> Iterator[int]:
    """A SOCKS5 server on 127.0.0.1 for user u, password p."""
    port = free_port()
    process = subprocess.Popen(
        ["microsocks", "-i", "127.0.0.1", "-p", str(port), "-u", "u", "-P", "p"],
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def echo() -> Iterator[str]:
    """An echo service that tells the peer's address, as the controller's does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = threading.Event()

        def serve() -> None:
            server.settimeout(0.1)
            while not done.is_set():
                try:
                    connection, peer = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.sendall(f"{peer[0]}\n".encode())

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        done.set()
        thread.join()


def egress(port: int, password: str = "p", public_ip: str = "127.0.0.1") -> spec_pb2.Egress:
    exit_ = spec_pb2.Socks5Exit(host="127.0.0.1", port=port, username="u", password=password)
    return spec_pb2.Egress(id="px001", public_ip=public_ip, socks5=exit_)


def test_a_good_egress_is_healthy_and_tells_its_exit(proxy: int, echo: str) -> None:
    result = probe(egress(proxy), echo, 5)
    assert (result.healthy, result.exit_ip) == (True, "127.0.0.1")


def test_another_exit_address_is_the_stage_exit_address(proxy: int, echo: str) -> None:
    result = probe(egress(proxy, public_ip="192.0.2.9"), echo, 5)
    assert (result.stage, result.exit_ip) == ("exit-address", "127.0.0.1")
    assert "192.0.2.9" in result.detail


def test_a_wrong_password_is_the_stage_proxy_auth_and_stands_nowhere(proxy: int, echo: str) -> None:
    result = probe(egress(proxy, password="secret-wrong"), echo, 5)
    assert result.stage == "proxy-auth"
    assert "secret-wrong" not in result.detail


def test_a_proxy_that_is_not_there_is_the_stage_tcp(echo: str) -> None:
    assert probe(egress(free_port()), echo, 5).stage == "tcp"
    assert probe(egress(free_port()), "", 5).stage == "tcp"


def test_a_target_the_proxy_cannot_reach_is_the_stage_proxy_request(proxy: int) -> None:
    assert probe(egress(proxy), f"127.0.0.1:{free_port()}", 5).stage == "proxy-request"


def test_a_server_that_speaks_no_socks_is_the_stage_proxy_request(echo: str) -> None:
    result = probe(egress(int(echo.rpartition(":")[2])), echo, 2)
    assert result.stage == "proxy-request"


def test_a_silent_proxy_ends_with_its_stage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        result = probe(egress(server.getsockname()[1]), "127.0.0.1:1", 0.5)
    assert result.stage == "proxy-request"


def test_an_own_address_is_probed_without_a_proxy(echo: str) -> None:
    exit_ = spec_pb2.AddressExit(address="127.0.0.1")
    made = spec_pb2.Egress(id="e", public_ip="127.0.0.1", address=exit_)
    assert probe(made, echo, 5).healthy
    made.address.address = "192.0.2.77"
    assert probe(made, echo, 5).stage == "tcp"


def test_without_a_target_only_the_proxy_is_reached(proxy: int) -> None:
    result = probe(egress(proxy), "", 5)
    assert (result.healthy, result.exit_ip) == (True, "")


def test_the_first_probes_are_spread_and_the_next_ones_jittered() -> None:
    schedule = ProbeSchedule(random.Random(1))
    egresses = {f"px{n:03d}": b"x" for n in range(150)}
    schedule.use(egresses, 0)
    assert 0 < len(schedule.take_due(FIRST_SPREAD_S / 2)) < 150
    rest = schedule.take_due(FIRST_SPREAD_S)
    assert schedule.take_due(10_000) == []
    for egress_id in rest:
        schedule.done(egress_id, True, 300, 0)
    assert schedule.take_due(269) == []
    assert len(schedule.take_due(331)) == len(rest)


def test_an_egress_that_failed_is_looked_at_again_after_seconds_then_ever_more_seldom() -> None:
    schedule = ProbeSchedule(random.Random(1))
    schedule.use({"a": b"1"}, 0)
    assert schedule.take_due(1) == ["a"]
    now_s = 1.0
    for wait_s in (4, 8, 16, 32, 60, 60):
        schedule.done("a", False, 300, now_s)
        assert schedule.take_due(now_s + 0.89 * wait_s) == []
        now_s += 1.11 * wait_s
        assert schedule.take_due(now_s) == ["a"]
    schedule.done("a", True, 300, now_s)
    assert schedule.take_due(now_s + 260) == []
    assert schedule.take_due(now_s + 340) == ["a"]
    schedule.done("a", False, 300, 1000)
    assert schedule.take_due(1005) == ["a"]


def test_mail_that_did_not_get_through_has_its_egress_looked_at_soon_but_not_all_the_time() -> None:
    schedule = ProbeSchedule(random.Random(1))
    schedule.use({"a": b"1"}, 0)
    schedule.hurry("a", 0)
    assert schedule.take_due(0) == ["a"]
    schedule.hurry("a", 1)
    assert schedule.take_due(1) == []
    schedule.done("a", True, 300, 2)
    schedule.hurry("a", 3)
    assert schedule.take_due(11) == []
    assert schedule.take_due(12) == ["a"]
    schedule.done("a", True, 300, 100)
    schedule.hurry("a", 200)
    assert schedule.take_due(200) == ["a"]
    schedule.hurry("unknown", 200)
    assert schedule.take_due(10**6) == []


def test_an_unhealthy_egress_is_looked_at_sooner_and_a_changed_one_at_once() -> None:
    schedule = ProbeSchedule(random.Random(1))
    schedule.use({"a": b"1", "b": b"1"}, 0)
    schedule.take_due(100)
    schedule.done("a", False, 300, 100)
    schedule.done("b", True, 300, 100)
    assert schedule.take_due(170) == ["a"]
    schedule.use({"b": b"2"}, 170)
    assert schedule.take_due(180) == ["b"]
    schedule.done("a", True, 300, 180)
    assert schedule.take_due(10**6) == []
