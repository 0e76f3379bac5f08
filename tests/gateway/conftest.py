"""Fixtures of the gateway's tests."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from node_agent.gateway import targets
from tests.gateway.door import Door, Target, echo, egress


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
