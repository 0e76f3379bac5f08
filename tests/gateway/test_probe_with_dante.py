"""Probes through a real Dante: only what it says of a target that is away is in doubt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from postfleet.v1 import spec_pb2

from node_agent.agent.probes.probe import ProbeResult, leads_to, probe
from tests.gateway.world import PROXY, RECEIVER, World, dante

pytestmark = pytest.mark.root
ECHO = f"{RECEIVER}:7444"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        yield made


def egress(password: str = "p") -> spec_pb2.Egress:
    exit_ = spec_pb2.Socks5Exit(host=PROXY, port=1080, username="u", password=password)
    return spec_pb2.Egress(id="e1", public_ip=PROXY, socks5=exit_)


def look(world: World, password: str = "p") -> ProbeResult:
    result: ProbeResult = world.inside(lambda: probe(egress(password), ECHO, 3))
    return result


def test_only_what_is_about_the_target_is_in_doubt(world: World) -> None:
    with dante(world, "p"):
        refused = look(world)
        assert (refused.stage, refused.doubt) == ("proxy-request", True)
        assert "0x05" in refused.detail
        wrong = look(world, "no")
        assert (wrong.stage, wrong.doubt) == ("proxy-auth", False)
        with world.listener(port=7444) as listener:
            assert world.inside(lambda: leads_to(egress(), ECHO, 3)).healthy
            listener.accept()[0].close()

            def tell() -> None:
                connection, peer = listener.accept()
                with connection:
                    connection.sendall(f"{peer[0]}\n".encode())

            thread = threading.Thread(target=tell)
            thread.start()
            good = look(world)
            thread.join()
            assert (good.healthy, good.exit_ip) == (True, PROXY)
    gone = look(world)
    assert (gone.stage, gone.doubt) == ("tcp", False)
