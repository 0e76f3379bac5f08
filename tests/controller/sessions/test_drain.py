"""A drain while mail flows: real controller, real PostgreSQL, simulated agents."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import pytest
from postfleet.v1 import fleet_pb2

from controller.fleet import shard_orders
from controller.keys.sealing import open_sealer
from controller.store import Store
from tests.controller.sessions.scene import (
    LONG_LEASE,
    one_controller,
    running,
    states_have,
    submit,
    until,
)
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.small_fleet import apply, enrol, small_inventory, sql


@pytest.fixture
async def inventory(store: Store, tmp_path: Path) -> None:
    fleet = small_inventory(nodes=3, egresses=9, lease=LONG_LEASE, moves_in_flight=1)
    await apply(store, open_sealer(tmp_path), fleet)


async def test_a_drain_goes_on_under_another_controller_and_sends_everything_once(
    database: str, store: Store, inventory: None, tmp_path: Path
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(one_controller(database, tmp_path, join_grace_s=600))
            for _ in range(2)
        ]
        agents = [
            SimulatedAgent(
                id,
                f"127.0.0.1:{first.port},127.0.0.1:{second.port}",
                first.ca.pem,
                await enrol(store, first.ca, id),
            )
            for id in ("n1", "n2", "n3")
        ]
        for agent in agents:
            await stack.enter_async_context(running(agent))
        await until(lambda: all(len(agent.granted) == 3 for agent in agents))
        ids = await submit(store, 300)
        request = fleet_pb2.DrainNodeRequest(node_id="n1")
        await shard_orders.drain(store, request, "operator/test", 600)
        most = 0

        async def drained() -> bool:
            nonlocal most
            most = max(most, await store.fetch_value(sql("SELECT count(*) FROM shard_move")))
            left = sql("SELECT count(*) FROM assignment WHERE node_id = 'n1'")
            return not await store.fetch_value(left)

        async def begun() -> bool:
            return await drained() or most > 0

        await until(begun)
        # Whoever was elected loses its lock in the middle.
        await store.execute(
            sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND pid <> pg_backend_pid()")
        )  # fmt: skip
        ids += await submit(store, 300, "later")
        await until(drained)
        assert most == 1
        await until(lambda: states_have(store, sent=600))
        assert not agents[0].granted
        assert agents[1].granted.isdisjoint(agents[2].granted)
    total: Counter[str] = sum((agent.handed_over for agent in agents), Counter())
    assert total == dict.fromkeys(ids, 1)
