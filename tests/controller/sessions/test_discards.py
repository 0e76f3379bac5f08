"""Uncertain messages end by an operator's word, or go out again when the node let go of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from postfleet.v1 import fleet_pb2, node_pb2

from controller.fleet import resolve
from controller.fleet.errors import BadRequestError, NotFoundError, RefusedError
from controller.server import Controller
from controller.store import Store
from tests.controller.sessions.scene import audit_of, running, states, states_have, submit, until
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.small_fleet import enrol, sql

SENT, RESEND, CANCEL = (
    fleet_pb2.RESOLUTION_SENT,
    fleet_pb2.RESOLUTION_RESEND,
    fleet_pb2.RESOLUTION_CANCEL,
)


class HoldingAgent(SimulatedAgent):
    """Leaves every message uncertain; lets go of one when it is told to."""

    lets_go = True
    asked: list[tuple[str, str]]

    def _take(self, message: node_pb2.ControllerMessage) -> None:
        super()._take(message)
        if message.WhichOneof("body") != "discard":
            return
        held = [(one.message_id, one.queue_id) for one in message.discard.messages]
        self.asked += held
        if self.lets_go:
            for message_id, _ in held:
                self.spool.pop(message_id, None)
            result = node_pb2.DiscardResult(message_ids=[i for i, _ in held])
            self.put(discard_result=result)

    def leave_uncertain(self) -> None:
        for message_id in self.spool:
            if message_id not in self.done:
                self.done.add(message_id)
                self.event(message_id, node_pb2.EVENT_KIND_QUEUED, queue_id="4ABC")
                self.event(message_id, node_pb2.EVENT_KIND_UNCERTAIN, reason="no answer to the dot")
        self.put(event_report=node_pb2.EventReport(spool_id=self.spool_id, events=self.events))


@pytest.fixture
async def held(
    one_node: Controller, store: Store
) -> AsyncIterator[tuple[Controller, HoldingAgent, list[str]]]:
    """A controller and its only node, on which three messages are uncertain."""
    issued = await enrol(store, one_node.ca, "n1")
    agent = HoldingAgent("n1", f"127.0.0.1:{one_node.port}", one_node.ca.pem, issued)
    agent.asked, agent.hand_over = [], False
    async with running(agent):
        ids = await submit(store, 3)
        await until(lambda: states_have(store, dispatched=3))
        agent.leave_uncertain()
        await until(lambda: states_have(store, uncertain=3))
        yield one_node, agent, ids


async def say(
    store: Store, message_id: str, resolution: fleet_pb2.Resolution, **fields: object
) -> fleet_pb2.ResolveMessageReply:
    request = fleet_pb2.ResolveMessageRequest(id=message_id, resolution=resolution, **fields)  # type: ignore[arg-type]
    return await resolve.resolve(store, request, "operator/ada")


async def test_a_message_is_declared_sent_or_left_to_rest(
    held: tuple[Controller, HoldingAgent, list[str]],
) -> None:
    controller, agent, ids = held
    store = controller.store
    reply = await say(store, ids[0], SENT, reason="she answered it")
    assert (reply.message.state, reply.awaited_node_id) == ("sent", "n1")
    assert "she answered it" in reply.message.reason
    assert (await say(store, ids[1], CANCEL)).message.state == "cancelled"

    async def both_deleted() -> bool:
        left = await store.fetch_all(sql("SELECT 1 FROM discard"))
        return set(agent.asked) == {(i, "4ABC") for i in ids[:2]} and not left

    await until(both_deleted)
    entries = await audit_of(store, "resolve-message")
    assert [e["subject"] for e in entries] == [f"message/{i}" for i in ids[:2]]
    assert entries[0]["actor"] == "operator/ada"
    with pytest.raises(RefusedError, match="is sent, there is nothing to resolve"):
        await say(store, ids[0], RESEND)


async def test_a_message_goes_out_again_only_when_its_queue_file_is_deleted(
    held: tuple[Controller, HoldingAgent, list[str]],
) -> None:
    controller, agent, ids = held
    store = controller.store
    agent.lets_go = False
    dry = await say(store, ids[0], RESEND, dry_run=True)
    assert "waits until node n1" in dry.message.reason
    assert not await store.fetch_all(sql("SELECT 1 FROM discard"))
    assert (await say(store, ids[0], RESEND)).message.state == "uncertain"
    await until(lambda: set(agent.asked) == {(ids[0], "4ABC")})
    await asyncio.sleep(1)
    assert (await states(store))["uncertain"] == 3
    agent.done.clear()
    agent.lets_go = agent.hand_over = True
    agent.spool.clear()
    agent.put(discard_result=node_pb2.DiscardResult(message_ids=[ids[0]]))
    await until(lambda: states_have(store, sent=1))
    assert agent.handed_over == {ids[0]: 1}
    assert (await states(store)) == {"sent": 1, "uncertain": 2}


async def test_what_no_node_holds_begins_anew_at_once(
    held: tuple[Controller, HoldingAgent, list[str]],
) -> None:
    controller, agent, ids = held
    store = controller.store
    agent.lets_go = False
    assert (await say(store, ids[0], RESEND)).awaited_node_id == "n1"
    # the node comes back with another disk
    await store.execute(sql("UPDATE node SET spool_id = 'other' WHERE id = 'n1'"))
    reply = await say(store, ids[1], RESEND)
    assert (reply.message.state, reply.awaited_node_id) == ("accepted", "")
    with pytest.raises(NotFoundError):
        await say(store, "nobody", SENT)
    with pytest.raises(BadRequestError):
        await say(store, ids[0], fleet_pb2.RESOLUTION_UNSPECIFIED)
