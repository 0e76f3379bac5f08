"""What a rebuild orders of the controller: real controller and PostgreSQL, simulated agents."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.keys.sealing import open_sealer
from controller.server import Controller, serving
from controller.serving.settings import Endpoint, RunSettings
from controller.store import Store
from provisioning.errors import ControllerError, OrderRefused
from provisioning.fleet import Fleet
from provisioning.rebuild_consent import is_alive
from provisioning.rebuild_node import is_lost
from provisioning.share import await_share
from tests.controller.served import NO_DNS
from tests.controller.sessions.scene import audit_of, connected, running, until
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.small_fleet import apply, enrol, small_inventory

# Nothing here may come about because a lease ran out.
LEASE = {"ttl_s": 600, "margin_s": 5, "heartbeat_s": 0.3}


@pytest.fixture
async def controller(database: str, store: Store, tmp_path: Path) -> AsyncIterator[Controller]:
    await apply(store, open_sealer(tmp_path), small_inventory(lease=LEASE))
    listen = Endpoint("127.0.0.1", 0)
    settings = RunSettings(state_dir=tmp_path, listen=listen, join_grace_s=600, dns=NO_DNS)
    async with serving(settings, database) as controller:
        yield controller


async def agent_of(controller: Controller, node_id: str) -> SimulatedAgent:
    """With a new certificate; the one before is refused from now on."""
    issued = await enrol(controller.store, controller.ca, node_id)
    return SimulatedAgent(node_id, f"127.0.0.1:{controller.port}", controller.ca.pem, issued)


async def test_a_node_that_comes_back_gets_a_share_and_the_others_keep_the_rest(
    controller: Controller, tmp_path: Path
) -> None:
    with Fleet(f"127.0.0.1:{controller.port}", tmp_path / "operator") as fleet:
        dead, other = await agent_of(controller, "n1"), await agent_of(controller, "n2")
        async with running(other):
            async with running(dead):

                async def shared() -> bool:
                    return len(dead.granted) == 2 and len(other.granted) == 2

                await until(shared)
                assert is_alive(fleet_node := await asyncio.to_thread(fleet.node, "n1"))
                assert not is_lost(fleet_node)
            await asyncio.to_thread(fleet.cordon, "n1", True)
            waited = await asyncio.to_thread(await_share, fleet, "n1", "test", lambda: False, 1.0)
            assert waited.startswith("it is")  # the term is the dead machine's
            foreseen = await asyncio.to_thread(fleet.fence, "n1", "test")
            assert foreseen.at_stake.egresses == 2
            assert is_lost(await asyncio.to_thread(fleet.node, "n1"))

            async def taken_over() -> bool:
                return len(other.granted) == 4

            await until(taken_over)
            async with running(await agent_of(controller, "n1")) as rebuilt:
                await until(lambda: connected(controller.store, "n1"))
                await asyncio.sleep(0.5)
                assert not rebuilt.granted  # cordoned: nothing comes by itself
                await asyncio.to_thread(fleet.cordon, "n1", False)
                said = await asyncio.to_thread(
                    await_share, fleet, "n1", "test: n1 is back", lambda: False
                )
                assert said.startswith("it sends for")

                async def settled() -> bool:
                    return (
                        not rebuilt.granted & other.granted
                        and len(rebuilt.granted | other.granted) == 4
                    )

                await until(settled)
                assert 1 <= len(rebuilt.granted) <= 2
        (order,) = await audit_of(controller.store, "order-rebalance")
        assert order["reason"] == "test: n1 is back"


async def test_an_order_that_is_refused_is_told_from_one_that_fails(
    controller: Controller, tmp_path: Path
) -> None:
    with Fleet(f"127.0.0.1:{controller.port}", tmp_path / "operator") as fleet:
        with pytest.raises(ControllerError, match="does not know node n9"):
            await asyncio.to_thread(fleet.node, "n9")
        await asyncio.to_thread(
            lambda: fleet.decommission("n1", fenced=True, dry_run=False, reason="test")
        )
        with pytest.raises(OrderRefused, match="decommissioned"):
            await asyncio.to_thread(fleet.cordon, "n1", False)
        assert await asyncio.to_thread(fleet.bound_mailboxes, "n2") == 0
        assert [node.id for node in await asyncio.to_thread(fleet.nodes)] == ["n1", "n2"]


async def test_a_controller_that_restarts_is_waited_for(
    database: str, store: Store, tmp_path: Path
) -> None:
    await apply(store, open_sealer(tmp_path), small_inventory(lease=LEASE))
    settings = RunSettings(state_dir=tmp_path, listen=Endpoint("127.0.0.1", 0), dns=NO_DNS)
    async with contextlib.AsyncExitStack() as stack:
        async with serving(settings, database) as controller:
            port = controller.port
            fleet = stack.enter_context(Fleet(f"127.0.0.1:{port}", tmp_path / "operator"))
            await asyncio.to_thread(fleet.node, "n1")
        asked = asyncio.create_task(asyncio.to_thread(fleet.cordon, "n1", True))
        await asyncio.sleep(1.5)
        assert not asked.done()
        async with serving(replace(settings, listen=Endpoint("127.0.0.1", port)), database):
            assert (await asyncio.wait_for(asked, 60)).cordoned
