"""Mail of a node whose disk is gone, or that never said it has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from postfleet.v1 import fleet_pb2

from controller.fleet.fencing import fence
from controller.server import Controller
from controller.store import Store
from tests.controller.sessions.scene import (
    audit_of,
    connected,
    controller_of,
    enrolled,
    running,
    sent_some,
    submit,
    until,
)
from tests.controller.small_fleet import sql


@pytest.mark.parametrize("acknowledged", [True, False])
async def test_mail_on_a_lost_disk_is_uncertain_where_it_may_have_been_attempted_and_only_there(
    acknowledged: bool, database: str, store: Store, tmp_path: Path
) -> None:
    """What was due may have gone out, whether or not we heard that it was stored. What no grant let
    become due did not: it goes out from the new disk."""
    all_stored = sql("SELECT bool_and(stored) FROM message")
    lease = {"ttl_s": 20, "margin_s": 5, "heartbeat_s": 0.3}
    async with controller_of(database, store, tmp_path, nodes=1, lease=lease) as controller:
        (agent,) = await enrolled(controller, "n1")
        agent.hand_over, agent.answer_dispatch = False, acknowledged
        async with running(agent):
            due = set(await submit(store, 12))
            later = set(await submit(store, 8, "later", due_in_s=50))
            await until(lambda: len(agent.spool) == 20)
            if acknowledged:
                await until(lambda: store.fetch_value(all_stored))
        order = fleet_pb2.FenceNodeRequest(node_id="n1", dry_run=True)
        stake = (await fence(store, order, "operator/test")).at_stake
        assert (stake.messages["dispatched"], stake.messages_not_due) == (20, 8)
        agent.spool_id, agent.spool, agent.answer_dispatch = "new", {}, True
        async with running(agent):
            await until(lambda: connected(store, "n1"))
            await until(lambda: set(agent.spool) == later)
        rows = await store.fetch_all(
            sql("SELECT id, reason FROM message WHERE state = 'uncertain'")
        )
        assert {row["id"] for row in rows} == due
        words = "was on that disk and due" if acknowledged else "without our hearing of it"
        assert all(words in row["reason"] for row in rows)
        (entry,) = await audit_of(store, "lose-spool")
        assert entry["evidence"]["count"] == 12  # type: ignore[index]
        assert entry["evidence"]["scheduled"] == 8  # type: ignore[index]


async def test_mail_that_was_never_acknowledged_is_sent_again_in_the_next_session(
    one_node: Controller,
) -> None:
    controller, store = one_node, one_node.store
    (agent,) = await enrolled(controller, "n1")
    agent.answer_dispatch = agent.hand_over = False
    async with running(agent):
        await submit(store, 20)
        await until(lambda: len(agent.spool) >= 10)
    kept = set(list(agent.spool)[::2])
    agent.spool = {id: m for id, m in agent.spool.items() if id in kept}
    agent.answer_dispatch = agent.hand_over = True
    async with running(agent):
        await until(lambda: sent_some(store, more_than=9))
    assert set(agent.handed_over.values()) == {1}
