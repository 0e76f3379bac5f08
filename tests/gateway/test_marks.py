"""An egress is noted on disk before its first connection opens, and forgotten late."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from node_agent.gateway.marks import Marks
from node_agent.gateway.recent import UNKNOWN_OCTETS, Recent, Risk
from tests.gateway.door import Door, Target, egress, eventually, read_all

pytestmark = pytest.mark.usefixtures("any_port")
S = 1_000_000_000


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Marks of an earlier process, and a guard that has run."""
    marks = tmp_path / "in-use"
    marks.mkdir()
    (marks / "before").touch()
    (tmp_path / "ran").touch()
    return marks


@pytest.fixture
def marking(door: Door, place: Path, target: Callable[..., Target]) -> Door:
    """A door that notes what it opens; the receiver echoes."""

    def echo(sock: socket.socket) -> None:
        sock.sendall(b"220 mx\r\n")
        while data := sock.recv(65536):
            sock.sendall(data)

    door.to = target(echo).address
    door.configure(egress())
    door.lease("e1")
    door.do(lambda: setattr(door.gate, "marks", Marks(door.loop, place, place.parent / "ran")))
    return door


def names(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


def test_the_mark_is_there_when_the_receiver_is_heard(marking: Door, place: Path):
    assert names(place) == {"before"}
    with marking.client() as client:
        assert client.recv(100) == b"220 mx\r\n"
        assert names(place) == {"before", "e1"}


def test_the_mark_outlives_the_connection_by_a_minute(marking: Door, place: Path):
    with marking.client() as client:
        assert client.recv(100) == b"220 mx\r\n"
    eventually(lambda: not marking.gate.pumps, "the connection is over")
    marking.push_clock(50)
    time.sleep(1.5)
    assert "e1" in names(place)
    marking.push_clock(20)
    eventually(lambda: "e1" not in names(place), "the mark is gone")
    with marking.client() as client:
        assert client.recv(100) == b"220 mx\r\n"
        assert "e1" in names(place)
        marking.push_clock(200)
        time.sleep(1.5)
        assert "e1" in names(place)


def test_before_the_guard_has_run_no_mark_goes(marking: Door, place: Path):
    (place.parent / "ran").unlink()
    with marking.client() as client:
        assert client.recv(100) == b"220 mx\r\n"
    marking.push_clock(500)
    time.sleep(1.5)
    assert names(place) == {"before", "e1"}


def test_what_cannot_be_noted_is_not_opened(marking: Door, place: Path):
    (place / "before").unlink()
    place.rmdir()
    place.write_text("no directory")
    with marking.client() as client:
        assert b"421 4.3.2 postfleet: e1 lease: cannot note it in" in read_all(client)


def test_a_slow_disk_holds_up_the_first_connection_and_nothing_else(
    marking: Door, place: Path, monkeypatch: pytest.MonkeyPatch
):
    with marking.client() as client:
        assert client.recv(100) == b"220 mx\r\n"
        go_on = threading.Event()
        real = Marks._carry_out

        def slow(self: Marks, orders: list[tuple[str, str]]) -> None:
            go_on.wait(60)
            real(self, orders)

        monkeypatch.setattr(Marks, "_carry_out", slow)
        marking.configure(egress(), egress("e2", "127.0.66.2"))
        marking.lease("e1", "e2", epoch=2)
        with marking.client("127.0.66.2") as second:
            client.sendall(b"EHLO x\r\n")
            assert client.recv(100) == b"EHLO x\r\n"
            second.settimeout(0.5)
            with pytest.raises(TimeoutError):
                second.recv(100)
            go_on.set()
            second.settimeout(60)
            assert second.recv(100) == b"220 mx\r\n"


def test_the_gate_tells_what_connections_could_have_carried(marking: Door):
    gate = marking.gate
    with marking.client() as client:
        assert client.recv(100) == b"220 mx\r\n"
        client.sendall(b"x" * 5000)
        eventually(lambda: marking.do(lambda: gate.at_risk(0))["e1"] == Risk(1, 5000), "it is open")
    eventually(lambda: not gate.pumps, "it is over")
    now_ns = marking.loop.clock()
    assert marking.do(lambda: gate.at_risk(now_ns - 60 * S)) == {"e1": Risk(1, 5000)}
    assert marking.do(lambda: gate.at_risk(now_ns + S)) == {}


def test_ends_are_remembered_for_a_minute_and_together_when_near():
    recent = Recent()
    recent.ended("e1", 100 * S, 10)
    recent.ended("e1", 100 * S + 1, 30)
    recent.ended("e1", 101 * S, 20)
    recent.ended("e2", 90 * S, UNKNOWN_OCTETS)
    assert recent.at_risk([("e3", 7)], 95 * S) == {"e1": Risk(3, 30), "e3": Risk(1, 7)}
    assert recent.at_risk([("e1", 40)], 101 * S) == {"e1": Risk(2, 40)}
    assert recent.at_risk([], 90 * S)["e2"] == Risk(1, UNKNOWN_OCTETS)
    assert recent.lately("e1", 160 * S)
    assert not recent.lately("e1", 162 * S)
    assert recent.at_risk([], 0).keys() == {"e2"}
