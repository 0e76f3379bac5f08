"""Controllers that are killed, and several at once: nothing is lost, nothing goes out twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.keys.authority import FleetCa, open_fleet_ca
from controller.keys.sealing import open_sealer
from controller.postgres import EmbeddedServer
from controller.store import Store
from controller.store.errors import StoreError
from tests.controller.sessions.controller_process import ControllerProcess
from tests.controller.sessions.scene import CALM_LEASE, running, states_have, submit, until
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.small_fleet import apply, enrol, small_inventory, sql

pytestmark = pytest.mark.postgres


@pytest.fixture
async def fleet_ca(store: Store, tmp_path: Path) -> FleetCa:
    """A fleet of two nodes in the database, with a CA; no controller yet."""
    await apply(store, open_sealer(tmp_path), small_inventory(mailboxes=5, lease=CALM_LEASE))
    return open_fleet_ca(tmp_path)


@contextlib.asynccontextmanager
async def processes(
    count: int, state_dir: Path, dsn: str
) -> AsyncIterator[list[ControllerProcess]]:
    controllers = [ControllerProcess(state_dir, dsn) for _ in range(count)]
    try:
        for controller in controllers:
            await controller.start()
        yield controllers
    finally:
        for controller in controllers:
            await controller.stop()


async def agents_of(store: Store, ca: FleetCa, targets: str) -> list[SimulatedAgent]:
    return [SimulatedAgent(id, targets, ca.pem, await enrol(store, ca, id)) for id in ("n1", "n2")]


async def check_every_message_went_out_once(
    store: Store, agents: list[SimulatedAgent], ids: list[str]
) -> None:
    await until(lambda: states_have(store, sent=len(ids)), 200)
    total = agents[0].handed_over + agents[1].handed_over
    assert dict(total) == dict.fromkeys(ids, 1)
    for scope in ("mailbox", "egress"):
        used = await store.fetch_value(
            sql("SELECT sum(used) FROM ledger WHERE scope = %(scope)s"), scope=scope
        )
        assert used == len(ids)
    assert await store.fetch_value(sql("SELECT count(*) FROM event")) == 2 * len(ids)


async def test_a_controller_killed_again_and_again_loses_and_doubles_nothing(
    database: str, store: Store, tmp_path: Path, fleet_ca: FleetCa
) -> None:
    dice = random.Random(7)
    async with processes(1, tmp_path, database) as (controller,):
        agents = await agents_of(store, fleet_ca, controller.target)
        ids: list[str] = []
        async with running(agents[0]), running(agents[1]):
            for round_ in range(6):
                ids += await submit(store, 300, f"r{round_}-")
                await asyncio.sleep(dice.uniform(0.05, 1.0))
                await controller.stop(signal.SIGKILL)
                await controller.start()
            await check_every_message_went_out_once(store, agents, ids)


async def test_two_controllers_share_the_nodes_and_one_takes_over_from_the_other(
    database: str, store: Store, tmp_path: Path, fleet_ca: FleetCa
) -> None:
    async with processes(2, tmp_path, database) as controllers:
        targets = ",".join(controller.target for controller in controllers)
        agents = await agents_of(store, fleet_ca, targets)
        agents[1].dial_next()
        ids = await submit(store, 500, "a")
        async with running(agents[0]), running(agents[1]):
            await asyncio.sleep(1.5)
            await controllers[0].stop(signal.SIGKILL)
            ids += await submit(store, 500, "b")
            await check_every_message_went_out_once(store, agents, ids)
            await controllers[0].start()
            await controllers[1].stop(signal.SIGKILL)
            ids += await submit(store, 100, "c")
            await check_every_message_went_out_once(store, agents, ids)


async def test_a_controller_that_is_asked_to_stop_tells_its_nodes_and_exits_well(
    database: str, store: Store, tmp_path: Path, fleet_ca: FleetCa
) -> None:
    async with processes(1, tmp_path, database) as (controller,):
        agents = await agents_of(store, fleet_ca, controller.target)
        async with running(agents[0]):
            await until(lambda: agents[0].grants)
            assert await controller.stop(signal.SIGTERM) == 0
            await until(
                lambda: any("this controller stops" in words for words in agents[0].endings)
            )


@pytest.mark.postgres
async def test_postgresql_killed_again_and_again_is_started_again_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    dice = random.Random(11)
    controller = ControllerProcess(tmp_path, None)
    try:
        await controller.start()
        postgres = EmbeddedServer(tmp_path / "pg")
        ca = open_fleet_ca(tmp_path)
        async with Store.open(postgres.dsn()) as store:
            fleet = small_inventory(mailboxes=5, lease=CALM_LEASE)
            await apply(store, open_sealer(tmp_path), fleet)
            agents = await agents_of(store, ca, controller.target)
            ids: list[str] = []
            async with running(agents[0]), running(agents[1]):
                for _ in range(3):
                    ids += await submit(store, 200)
                    await asyncio.sleep(dice.uniform(0.2, 1.0))
                    pid = postgres.pid()
                    assert pid is not None
                    os.kill(pid, signal.SIGKILL)
                    await until(lambda old=pid: postgres.pid() not in (None, old), 200)
                    await until(lambda: _answers(store), 200)
                await check_every_message_went_out_once(store, agents, ids)
    finally:
        await controller.stop(signal.SIGTERM)
    assert postgres.pid() is None


async def _answers(store: Store) -> bool:
    try:
        await store.fetch_value(sql("SELECT 1"))
    except StoreError:
        return False
    return True
