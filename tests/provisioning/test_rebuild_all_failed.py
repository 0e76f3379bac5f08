"""`fab rebuild --all-failed` with several dead nodes: which are taken, and in what order.

And what the failure of one means for the others. Real controller and PostgreSQL, simulated agents,
no machine.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from invoke.exceptions import Exit

from controller.server import Controller
from controller.store import Store
from inventory.schema import Node
from provisioning.errors import ProvisioningError
from provisioning.flags import REBUILD, WHICH
from provisioning.fleet import Fleet
from provisioning.machine import Access
from provisioning.many_nodes import all_at_once
from provisioning.one_node import Job
from provisioning.rebuild_consent import agree, lost_ones
from provisioning.rebuild_how import How
from provisioning.rebuild_node import BACK, rebuild
from provisioning.report import Report
from provisioning.stop_sign import StopSign
from tests.controller.sessions.scene import connected, controller_of, enrolled, running, until
from tests.controller.small_fleet import small_inventory, sql

LEASE = {"ttl_s": 600, "margin_s": 5, "heartbeat_s": 0.3}
INVENTORY = {node.id: node for node in small_inventory(nodes=6).nodes}
HOW = How.of({flag.name: flag.default for flag in (*WHICH, *REBUILD)} | {"all_failed": True})


def chosen(*ids: str) -> list[tuple[Node, Access]]:
    return [(INVENTORY[id], cast("Access", None)) for id in ids]


def jobs_of(report: Report, fleet: Fleet | None, *ids: str) -> list[Job]:
    """Without a machine: whoever looks for one fails."""
    nothing = cast("Any", None)
    return [
        Job(INVENTORY[id], nothing, nothing, nothing, {}, fleet, report, StopSign()) for id in ids
    ]


@pytest.fixture
async def controller(database: str, store: Store, tmp_path: Path) -> AsyncIterator[Controller]:
    async with controller_of(
        database, store, tmp_path, join_grace_s=600, nodes=6, lease=LEASE
    ) as controller:
        yield controller


async def some_dead(controller: Controller, fleet: Fleet, stack: AsyncExitStack) -> None:
    """n1 lives; n2, n4 and n5 died and were fenced; n3 is cordoned and lives; n6 never came."""
    ids = ("n1", "n2", "n3", "n4", "n5")
    agents = dict(zip(ids, await enrolled(controller, *ids), strict=True))
    async with AsyncExitStack() as dying:
        for id, agent in agents.items():
            await (stack if id in ("n1", "n3") else dying).enter_async_context(running(agent))
        for id in ids:
            await until(partial(connected, controller.store, id))
    for id in ("n2", "n4", "n5"):
        await asyncio.to_thread(fleet.fence, id, "test: it is off")
    await asyncio.to_thread(fleet.cordon, "n3", True)


async def test_all_that_are_lost_are_taken_in_the_order_given_and_none_is_asked_about(
    controller: Controller, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with AsyncExitStack() as stack:
        fleet = stack.enter_context(Fleet(f"127.0.0.1:{controller.port}", tmp_path / "operator"))
        await some_dead(controller, fleet, stack)
        order = ("n5", "n1", "n2", "n6", "n3", "n4")
        found = await asyncio.to_thread(lost_ones, chosen(*order), fleet)
        assert [node.id for node, _ in found] == ["n5", "n2", "n4"]
        assert "connected and cordoned: n3" in capsys.readouterr().err
        # Only of the nodes that were named.
        found = await asyncio.to_thread(lost_ones, chosen("n1", "n4"), fleet)
        assert [node.id for node, _ in found] == ["n4"]
        with pytest.raises(Exit, match="no node of the inventory is lost") as none:
            await asyncio.to_thread(lost_ones, chosen("n1", "n3", "n6"), fleet)
        assert none.value.code == 0
        with Report("test", ["n5", "n2", "n4"]) as report:
            jobs = jobs_of(report, fleet, "n5", "n2", "n4")
            # Heard a moment ago: they may be sending, whatever was attested.
            with pytest.raises(ProvisioningError, match="n5, n2, n4: alive"):
                await asyncio.to_thread(agree, jobs, HOW, yes=False)
            await controller.store.execute(
                sql("UPDATE node SET last_seen = now() - interval '1 h' WHERE NOT connected")
            )
            await asyncio.to_thread(agree, jobs, HOW, yes=False)


async def test_one_that_came_back_meanwhile_is_left_alone(
    controller: Controller, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        fleet = stack.enter_context(Fleet(f"127.0.0.1:{controller.port}", tmp_path / "operator"))
        await some_dead(controller, fleet, stack)
        (back,) = await enrolled(controller, "n4")
        await stack.enter_async_context(running(back))
        await until(lambda: connected(controller.store, "n4"))
        with Report("test", ["n4"]) as report:
            (job,) = jobs_of(report, fleet, "n4")
            assert await asyncio.to_thread(rebuild, job, HOW) == BACK
        assert not (await asyncio.to_thread(fleet.node, "n4")).cordoned


def test_one_that_fails_keeps_nobody_from_being_rebuilt_and_no_more_run_at_once_than_may() -> None:
    ids = ["n5", "n2", "n4", "n1"]
    lock, begun, at_once, most = threading.Lock(), list[str](), 0, 0

    def work(job: Job) -> str:
        nonlocal at_once, most
        with lock:
            begun.append(job.node_id)
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.1)
        with lock:
            at_once -= 1
        if job.node_id == "n2":
            raise ProvisioningError("the provider has no machine")
        return "rebuilt"

    with Report("test", ids) as report:
        jobs = jobs_of(report, None, *ids)
        assert not all_at_once(jobs, work, 2, StopSign())
        outcomes = {id: result.outcome for id, result in report.results.items()}
    assert (set(begun[:2]), begun[2:] and most) == ({"n5", "n2"}, 2)
    assert sorted(begun) == sorted(ids)
    assert outcomes.pop("n2") != "rebuilt"
    assert set(outcomes.values()) == {"rebuilt"}


def test_after_an_interruption_no_further_one_is_begun() -> None:
    stop, begun = StopSign(), list[str]()

    def work(job: Job) -> str:
        begun.append(job.node_id)
        stop.raise_()
        return "rebuilt"

    with Report("test", ["n1", "n2", "n4"]) as report:
        assert not all_at_once(jobs_of(report, None, "n1", "n2", "n4"), work, 1, stop)
    assert begun == ["n1"]
