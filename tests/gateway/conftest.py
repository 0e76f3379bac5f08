"""Fixtures of the gateway's tests."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest

from node_agent.gateway import proxy_manners, targets
from tests.gateway.door import Door, Target, echo, egress, eventually, free_port


@pytest.fixture
def door() -> Iterator[Door]:
    one = Door()
    yield one
    one.close()


@pytest.fixture
def target() -> Iterator[Callable[..., Target]]:
    """Make receivers: `target(conversation)`."""
    made: list[Target] = []

    def make(conversation: Callable[[socket.socket], None], host: str = "127.0.0.1") -> Target:
        made.append(Target(conversation, host))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def any_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers listen where a test can, not on port 25."""
    monkeypatch.setattr(targets, "SMTP_PORTS", range(65536))


@pytest.fixture
def open_door(door: Door, target: Callable[..., Target]) -> Door:
    """A door with an egress, a lease and an echoing receiver."""
    door.to = target(echo).address
    door.configure(egress())
    door.lease("e1")
    return door


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most proxies of these tests lose pipelined octets: waiting for that is not what they test."""
    monkeypatch.setattr(proxy_manners, "_PATIENCE_S", 0.3)


@pytest.fixture
def microsocks() -> Iterator[tuple[str, int]]:
    """A microsocks of this test with user u and password p."""
    binary = shutil.which("microsocks")
    if binary is None:
        pytest.skip("microsocks is not installed")
    address = ("127.0.0.1", free_port())
    process = subprocess.Popen(
        [binary, "-i", address[0], "-p", str(address[1]), "-u", "u", "-P", "p"],
        stderr=subprocess.DEVNULL,
    )

    def listening() -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(address) == 0

    try:
        eventually(listening, "microsocks listens")
        yield address
    finally:
        process.kill()
        process.wait()
