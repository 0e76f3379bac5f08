"""An egress that is given back: the real gateway, told by the agent's own link."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_agent.agent.lease import Lease
from node_agent.agent.right import Right
from node_agent.agent.session.gateway_link import GatewayLink
from node_agent.gateway.clock import boottime_ns
from node_agent.local.gateway_client import GatewayClient
from tests.gateway.door import DEADLINE_S, eventually, read_all
from tests.gateway.world import RECEIVER, S, World

pytestmark = pytest.mark.root


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        made.configure(
            {"id": "e1", "surrogate_address": "198.18.0.1", "address": RECEIVER},
            {"id": "e2", "surrogate_address": "198.18.0.2", "address": RECEIVER},
        )
        made.start()
        yield made


def tell(world: World, right: Right) -> GatewayLink:
    """Let the gateway know what the agent knows, as at each heartbeat."""

    async def once() -> GatewayLink:
        client = GatewayClient(world.control)
        link = GatewayLink(client, right)
        assert await link.tell()
        await client.aclose()
        return link

    return asyncio.run(once())


def test_what_runs_when_an_egress_is_given_back_comes_to_its_end(world: World) -> None:
    now_ns = boottime_ns()
    right = Right()
    lease = Lease(4, now_ns + 60 * S, now_ns + 65 * S, frozenset({"e1", "e2"}), 1, now_ns)
    assert right.use_lease(lease)
    tell(world, right)
    with world.listener() as listener, world.client() as postfix:
        receiver, _ = listener.accept()
        receiver.settimeout(DEADLINE_S)
        with receiver:
            receiver.sendall(b"354 go on\r\n")
            assert postfix.recv(100) == b"354 go on\r\n"
            right.release(["e1"], 4)
            for _ in range(3):
                tell(world, right)
            # The final dot, and the answer that says whether the message is sent.
            postfix.sendall(b"body\r\n.\r\n")
            assert receiver.recv(100) == b"body\r\n.\r\n"
            with world.client() as late:
                assert b"e1 lease: closed in epoch 4, it is being given back" in read_all(late)
            receiver.sendall(b"250 2.0.0 taken\r\n")
            assert b"250 2.0.0 taken" in postfix.recv(100)
    eventually(
        lambda: not any(e.open_connections for e in tell(world, right).status.egresses),
        "the connection has ended",
    )
    # From then on the lease does not name it, and another egress is as it was.
    tell(world, right)
    with world.client() as late:
        assert b"e1 lease: not in this node's lease of epoch 4" in read_all(late)
    with world.listener() as listener, world.client(source="198.18.0.2") as postfix:
        receiver, _ = listener.accept()
        with receiver:
            receiver.sendall(b"220 mx\r\n")
            assert postfix.recv(100) == b"220 mx\r\n"
