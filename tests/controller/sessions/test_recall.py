"""Mail that was tried and comes back out of a node's queue goes on elsewhere, charged once."""

from __future__ import annotations

from postfleet.v1 import node_pb2

from controller.server import Controller
from controller.store import Store
from tests.controller.sessions.scene import (
    charged,
    connected,
    greylisted_and_not,
    running,
    states,
    states_are,
    submit,
    until,
)
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.small_fleet import sql


async def all_deferred(store: Store, agent: SimulatedAgent, sent: int) -> None:
    """Waits until all the agent has is deferred, reported, and the others' mail is sent."""

    async def reached() -> bool:
        count = await states(store)
        return (
            count.get("sent") == sent
            and count.get("queued") == len(agent.tried) == len(agent.spool) > 0
            and not agent.events
        )

    await until(reached)


async def history(store: Store, message_id: str) -> list[tuple[str, str]]:
    rows = await store.fetch_all(
        sql("SELECT node_id, kind FROM event WHERE message_id = %(id)s ORDER BY at, seq"),
        id=message_id,
    )
    return [(row["node_id"], row["kind"]) for row in rows]


async def check_moved(store: Store, first: SimulatedAgent, second: SimulatedAgent) -> None:
    """All that n1 had went out from n2, once, after its time, with n1's attempt remembered."""
    for id in first.tried:
        assert second.handed_over[id] == 1
        row = await store.fetch_one(
            sql("SELECT attempts, node_id, not_before,"
                " (SELECT e.at FROM event e WHERE e.message_id = m.id AND e.kind = 'sent') AS sent"
                " FROM message m WHERE id = %(id)s"), id=id,
        )  # fmt: skip
        assert (row["attempts"], row["node_id"]) == (2, "n2")
        assert row["sent"] >= row["not_before"]
        told = [("n1", "queued"), ("n1", "deferred"), ("n1", "returned")]
        assert await history(store, id) == [*told, ("n2", "queued"), ("n2", "sent")]
    assert await charged(store) == {"egress": 20, "mailbox": 20}


async def test_deferred_mail_of_a_released_egress_goes_out_from_its_next_node_charged_once(
    controller: Controller,
) -> None:
    store = controller.store
    first, second = await greylisted_and_not(controller)
    async with running(first), running(second):
        await until(lambda: connected(store, "n1"))
        await submit(store, 20)
        await all_deferred(store, first, sent=10)
        await store.execute(sql("UPDATE node SET decommissioned = true WHERE id = 'n1'"))
        await until(lambda: states_are(store, sent=20))
    await check_moved(store, first, second)


async def test_a_node_that_comes_back_after_its_term_returns_its_queue_and_it_goes_out(
    controller: Controller,
) -> None:
    store = controller.store
    first, second = await greylisted_and_not(controller)
    async with running(second):
        async with running(first):
            await until(lambda: connected(store, "n1"))
            await submit(store, 20)
            await all_deferred(store, first, sent=10)
        await until(lambda: len(second.granted) == 4)
        # Nobody knows what n1 did with them: they wait for it, and say so.
        assert (await states(store)).get("queued") == 10
        reasons = await store.fetch_all(
            sql("SELECT DISTINCT reason FROM message WHERE state = 'queued'")
        )
        assert [row["reason"] for row in reasons] == [
            "it is on node n1, whose term is over: it waits for the node's report"
        ]
        async with running(first):
            await until(lambda: connected(store, "n1"))
            first.recall(list(first.spool))
            await until(lambda: states_are(store, sent=20))
    await check_moved(store, first, second)


async def test_what_was_sent_after_all_is_not_sent_again_whatever_comes_later(
    controller: Controller,
) -> None:
    store = controller.store
    first, second = await greylisted_and_not(controller)
    async with running(first), running(second):
        await until(lambda: connected(store, "n1"))
        await submit(store, 20)
        await all_deferred(store, first, sent=10)
        ids = list(first.spool)
        for id in ids:
            first.event(id, node_pb2.EVENT_KIND_SENT, reason="250 ok")
        first.recall(ids)

        await until(lambda: states_are(store, sent=20))
        await until(lambda: not first.events)
    assert not any(second.handed_over[id] for id in ids)


async def test_a_message_that_came_back_is_not_planned_anew_when_its_day_is_over(
    controller: Controller,
) -> None:
    store = controller.store
    first, second = await greylisted_and_not(controller)
    async with running(first):
        await until(lambda: connected(store, "n1"))
        await submit(store, 10)
        await until(lambda: first.tried and not first.events)
        ids = sorted(first.tried)
        first.retry_s = 5
        # Nobody holds the egress while the day ends.
        await store.execute(sql("UPDATE node SET cordoned = true"))
        await store.execute(
            sql(
                "UPDATE message SET charged_day = charged_day - 1,"
                " charged_hour = charged_hour - interval '1 day'"
            )
        )
        await store.execute(sql("UPDATE ledger SET day = day - 1"))
        before = await charged(store)
        first.recall(ids)
        first.greylisted = False
        await until(lambda: all(first.handed_over[id] == 1 for id in ids))
    assert await charged(store) == before
    assert not second.handed_over
