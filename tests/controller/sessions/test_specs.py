"""Specs that a node cannot apply, and what it runs meanwhile."""

from __future__ import annotations

from controller.server import Controller
from controller.store import Store
from tests.controller.sessions.scene import audit_of, enrolled, running, sent_some, submit, until
from tests.controller.small_fleet import apply, small_inventory, sql


async def spec_error(store: Store) -> str:
    return str(await store.fetch_value(sql("SELECT spec_error FROM node WHERE id = 'n1'")))


async def no_spec_error(store: Store) -> bool:
    return not await spec_error(store)


async def test_a_spec_the_node_cannot_apply_leaves_the_running_one_and_says_why(
    calm: Controller,
) -> None:
    controller = calm
    store = controller.store
    (agent,) = await enrolled(controller, "n1")
    async with running(agent):
        await until(lambda: len(agent.granted) == 2 and agent.running_generation > 1)
        running_before = agent.running_generation
        agent.refuse_specs = True
        await apply(store, controller.sealer, small_inventory(mail={"egress_concurrency": 7}))
        await until(lambda: spec_error(store))
        assert agent.running_generation == running_before
        await submit(store, 20)
        await until(lambda: sent_some(store, more_than=5))
    (entry,) = await audit_of(store, "refuse-spec")
    assert entry["reason"] == "render: no"


async def test_what_a_node_runs_is_known_although_its_apply_was_called_failed(
    calm: Controller,
) -> None:
    """As after a kill of apply behind the swap: the agent asks again and learns what runs."""
    store = calm.store
    (agent,) = await enrolled(calm, "n1")
    async with running(agent):
        await until(lambda: len(agent.granted) == 2 and agent.running_generation > 1)
        agent.refuse_specs = True
        await apply(store, calm.sealer, small_inventory(mail={"egress_concurrency": 7}))
        await until(lambda: spec_error(store))
        agent.end_late()
        await until(lambda: no_spec_error(store))
        known = await store.fetch_value(
            sql("SELECT count(*) FROM running_mailbox WHERE node_id = 'n1'")
        )
        assert known == len(agent.mailboxes) > 0
