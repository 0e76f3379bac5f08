"""A fenced node, dead or alive: real controller, real PostgreSQL, simulated agents."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator

from postfleet.v1 import fleet_pb2

from controller.fleet.fencing import fence
from controller.fleet.orders import set_cordon
from controller.server import Controller
from controller.store import Store
from tests.controller.sessions.scene import (
    audit_of,
    connected,
    enrolled,
    running,
    states,
    states_have,
    submit,
    until,
)
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.small_fleet import sql


@contextlib.asynccontextmanager
async def two_nodes(controller: Controller) -> AsyncIterator[tuple[SimulatedAgent, SimulatedAgent]]:
    first, second = await enrolled(controller, "n1", "n2")
    async with running(first), running(second):
        await until(lambda: len(first.granted) == 2 and len(second.granted) == 2)
        yield first, second


async def fenced(controller: Controller, **more: object) -> fleet_pb2.FenceNodeReply:
    request = fleet_pb2.FenceNodeRequest(node_id="n1", reason="rack is dark", **more)  # type: ignore[arg-type]
    return await fence(controller.store, request, "operator/test")


async def test_a_dead_nodes_egresses_go_elsewhere_long_before_its_lease_would_end(
    for_ever: Controller,
) -> None:
    controller = for_ever
    async with contextlib.AsyncExitStack() as stack:
        first, second = await stack.enter_async_context(two_nodes(controller))
        first.hand_over = False
        await submit(controller.store, 20)
        await until(lambda: len(first.spool) == 10)
    # Both are off now; only the second comes back.
    async with running(second):
        await until(lambda: connected(controller.store, "n2"))
        reply = await fenced(controller)
        assert (reply.at_stake.egresses, reply.at_stake.mailboxes) == (2, 4)
        assert dict(reply.at_stake.messages) == {"dispatched": 10}
        assert reply.node.state == "fenced"
        await until(lambda: len(second.granted) == 4)
        # What was on it waits for it.
        assert (await states(controller.store))["dispatched"] == 10
    (entry,) = await audit_of(controller.store, "fence-node")
    assert (entry["actor"], entry["reason"]) == ("operator/test", "rack is dark")


async def test_a_fenced_node_that_is_alive_is_stopped_and_does_not_get_its_term_back(
    for_ever: Controller,
) -> None:
    controller = for_ever
    async with two_nodes(controller) as (first, second):
        term, had = first.epoch, first.granted
        reply = await fenced(controller, epoch=term)
        assert (reply.at_stake.life, reply.at_stake.connected) == ("alive", True)
        await until(lambda: first.epoch > term and not first.granted and second.granted >= had)
        heartbeats = len(first.grants)
        await until(lambda: len(first.grants) >= heartbeats + 3)
        assert all(not grant.egress_ids for grant in first.grants[heartbeats:])
        assert {grant.epoch for grant in first.grants[heartbeats:]} == {term + 1}
        await submit(controller.store, 20)
        await until(lambda: states_have(controller.store, sent=20))
        assert not first.handed_over


async def test_a_fence_ends_when_the_node_has_booted_again(for_ever: Controller) -> None:
    controller = for_ever
    async with two_nodes(controller) as (first, _):
        await fenced(controller)
    first.boot_id = uuid.uuid4().hex
    async with running(first):
        await until(lambda: connected(controller.store, "n1"))
    assert not await is_fenced(controller.store)
    (entry,) = await audit_of(controller.store, "end-fence")
    assert entry["subject"] == "node/n1"


async def test_the_same_boot_stays_fenced_until_an_operator_opens_it(
    for_ever: Controller,
) -> None:
    controller = for_ever
    async with two_nodes(controller) as (first, _):
        await fenced(controller)
        sessions = first.sessions

        async def dialled_again() -> bool:
            return first.sessions > sessions

        await controller.store.execute(sql("UPDATE lease SET session_id = '' WHERE node_id = 'n1'"))
        await until(dialled_again)
        await until(lambda: connected(controller.store, "n1"))
        assert await is_fenced(controller.store)
        opened = await set_cordon(
            controller.store, fleet_pb2.SetNodeCordonRequest(node_id="n1"), "operator/test"
        )
        assert not opened.fenced
    assert await audit_of(controller.store, "uncordon-node")


async def is_fenced(store: Store) -> bool:
    return bool(await store.fetch_value(sql("SELECT fenced FROM node WHERE id = 'n1'")))
