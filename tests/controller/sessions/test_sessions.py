"""Who may speak for a node, and what is believed of what it reports: real mTLS and PostgreSQL."""

from __future__ import annotations

import asyncio

import grpc
from postfleet.v1 import node_pb2

from controller.server import Controller
from tests.controller.sessions.scene import (
    agent_with,
    audit_of,
    connected,
    enrolled,
    running,
    states,
    states_have,
    submit,
    until,
)
from tests.controller.small_fleet import enrol, sql


async def test_a_node_that_asks_for_another_nodes_session_is_refused_and_audited(
    calm: Controller,
) -> None:
    controller = calm
    issued = await enrol(controller.store, controller.ca, "n1")
    await enrol(controller.store, controller.ca, "n2")
    agent = agent_with(controller, "n2", issued)
    await agent.run(again=False)
    assert agent.code is grpc.StatusCode.PERMISSION_DENIED
    assert "node n1's" in agent.details
    (entry,) = await audit_of(controller.store, "refuse-session")
    assert entry["actor"] == "node/n1"
    assert entry["subject"] == "node/n2"


async def test_a_certificate_that_was_replaced_is_refused_and_its_session_ended(
    calm: Controller,
) -> None:
    controller = calm
    (agent,) = await enrolled(controller, "n1")
    async with running(agent):
        await until(lambda: connected(controller.store, "n1"))
        await enrol(controller.store, controller.ca, "n1")
        await until(lambda: agent.code is grpc.StatusCode.PERMISSION_DENIED)
    grants = len(agent.grants)
    await agent.run(again=False)
    assert agent.code is grpc.StatusCode.PERMISSION_DENIED
    assert len(agent.grants) == grants


async def test_a_newer_session_ends_the_older_one(calm: Controller) -> None:
    controller = calm
    issued = await enrol(controller.store, controller.ca, "n1")
    first, second = (agent_with(controller, "n1", issued) for _ in range(2))
    second.spool_id, second.boot_id = first.spool_id, first.boot_id
    once = asyncio.create_task(first.run(again=False))
    await until(lambda: connected(controller.store, "n1"))
    async with running(second):
        await asyncio.wait_for(once, 10)
        assert first.code is grpc.StatusCode.ABORTED
        await until(lambda: connected(controller.store, "n1"))


async def test_reports_repeated_any_number_of_times_change_nothing(
    one_node: Controller,
) -> None:
    controller, store = one_node, one_node.store
    (agent,) = await enrolled(controller, "n1")
    async with running(agent):
        await submit(store, 10)
        await until(lambda: states_have(store, sent=10))
        before = await store.fetch_all(sql("SELECT * FROM message ORDER BY id"))
        seqs = await store.fetch_value(sql("SELECT count(*) FROM event"))
        old = [
            node_pb2.MessageEvent(
                seq=seq, message_id=before[0]["id"], kind=node_pb2.EVENT_KIND_BOUNCED
            )
            for seq in range(1, 6)
        ]
        for event in old:
            event.at.GetCurrentTime()
        for _ in range(3):
            agent.put(event_report=node_pb2.EventReport(spool_id=agent.spool_id, events=old))
        new = node_pb2.MessageEvent(
            seq=1000, message_id="nobody", kind=node_pb2.EVENT_KIND_SENT, reason="nul \x00 inside"
        )
        new.at.GetCurrentTime()
        agent.put(event_report=node_pb2.EventReport(spool_id=agent.spool_id, events=[new]))
        await until(lambda: store.fetch_value(sql("SELECT count(*) FROM event WHERE seq = 1000")))
    assert await store.fetch_all(sql("SELECT * FROM message ORDER BY id")) == before
    assert await store.fetch_value(sql("SELECT count(*) FROM event")) == seqs + 1


async def test_a_node_cannot_report_on_messages_it_never_had(calm: Controller) -> None:
    controller = calm
    store = controller.store
    agents = await enrolled(controller, "n1", "n2")
    agents[0].hand_over = agents[1].hand_over = False
    async with running(agents[0]), running(agents[1]):
        await submit(store, 10)
        await until(lambda: states_have(store, dispatched=10))
        foreign = next(iter(agents[0].spool))
        agents[1].event(foreign, node_pb2.EVENT_KIND_SENT)
        agents[1].put(
            event_report=node_pb2.EventReport(spool_id=agents[1].spool_id, events=agents[1].events)
        )
        await until(lambda: not agents[1].events)
        assert (await states(store)) == {"dispatched": 10}
