"""A node's right to send: shared out, lost, given back; and its mail after that, sent once."""

from __future__ import annotations

import asyncio
import time

from controller.server import Controller
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
from tests.controller.small_fleet import sql


async def test_two_nodes_get_their_share_and_send_every_message_once(
    calm: Controller,
) -> None:
    controller = calm
    store = controller.store
    agents = await enrolled(controller, "n1", "n2")
    ids = await submit(store, 500)
    async with running(agents[0]), running(agents[1]):
        await until(lambda: states_have(store, sent=500))
    assert sum((a.handed_over for a in agents), start=agents[0].handed_over.__class__()) == (
        dict.fromkeys(ids, 1)
    )
    shares = [set(agent.grants[-1].egress_ids) for agent in agents]
    assert shares[0].isdisjoint(shares[1])
    assert shares[0] | shares[1] == {"px1", "px2", "px3", "px4"}
    message = next(iter(agents[0].spool.values()))
    assert message.content.endswith(b"Added: yesBody")


async def test_a_machine_with_a_new_certificate_waits_for_the_end_of_the_old_ones_term(
    controller: Controller,
) -> None:
    (old,) = await enrolled(controller, "n1")
    async with running(old):
        await until(lambda: old.granted)
    trusted_until_s = old.trusted_until_s
    (new,) = await enrolled(controller, "n1")
    async with running(new):
        await until(lambda: new.grants)
        assert time.monotonic() > trusted_until_s
        assert new.epoch > old.epoch


async def test_a_lost_nodes_egresses_go_to_another_node_and_its_mail_waits_for_it(
    controller: Controller,
) -> None:
    store = controller.store
    agents = await enrolled(controller, "n1", "n2")
    agents[0].hand_over = False
    async with running(agents[1]):
        async with running(agents[0]):
            ids = await submit(store, 100)
            await until(lambda: len(agents[0].spool) == 50 and len(agents[1].done) == 50)
        silent_since = agents[0].trusted_until_s
        await until(lambda: len(agents[1].granted) == 4)
        assert time.monotonic() > silent_since
        assert (await audit_of(store, "end-term"))[0]["subject"] == "node/n1"
        more = await submit(store, 100, "later")
        await until(lambda: states_have(store, sent=150))
        assert (await states(store))["dispatched"] == 50
        reason = await store.fetch_value(
            sql("SELECT DISTINCT reason FROM message WHERE state = 'dispatched'")
        )
        assert "n1" in reason
        # The node comes back without its egresses: its mail is still there, once.
        agents[0].hand_over = True
        async with running(agents[0]):
            await until(lambda: connected(store, "n1"))
            agents[0].granted = agents[1].granted  # as if it were allowed, to see what it has
    total = agents[0].handed_over + agents[1].handed_over
    assert all(total[id] <= 1 for id in ids + more)


async def test_a_node_out_of_service_gives_its_egresses_back_and_another_takes_them(
    calm: Controller,
) -> None:
    controller = calm
    store = controller.store
    agents = await enrolled(controller, "n1", "n2")
    async with running(agents[0]), running(agents[1]):
        await until(lambda: all(len(agent.granted) == 2 for agent in agents))
        await store.execute(sql("UPDATE node SET decommissioned = true WHERE id = 'n1'"))
        await until(lambda: len(agents[1].granted) == 4 and not agents[0].granted)
        assert len(await audit_of(store, "release-egress-lease")) == 2
        assert not await audit_of(store, "end-term")
        # Back again: what it gave back in this very term comes in a later one.
        epoch = agents[0].epoch
        await store.execute(sql("UPDATE node SET decommissioned = id = 'n2'"))
        await until(lambda: len(agents[0].granted) == 4)
        assert agents[0].epoch > epoch


async def test_mail_that_was_not_due_when_a_term_ended_goes_out_from_elsewhere_once(
    controller: Controller,
) -> None:
    """The node keeps its disk and comes back: what was taken back it never hands over."""
    store = controller.store
    first, second = await enrolled(controller, "n1", "n2")
    first.hand_over = False
    async with running(second):
        async with running(first):
            await until(lambda: len(first.granted) == 2 and len(second.granted) == 2)
            await submit(store, 40, due_in_s=50)
            await until(lambda: len(first.spool) == 20)
        await until(lambda: len(second.spool) == 40)
        assert not second.done  # nothing is due yet
        first.ahead_s = second.ahead_s = 50
        await until(lambda: states_have(store, sent=40))
        end = (await audit_of(store, "end-term"))[0]
        assert end["evidence"]["mail_taken_back"] == 20  # type: ignore[index]
        first.hand_over = True
        async with running(first):
            await until(lambda: connected(store, "n1"))
            await asyncio.sleep(0.5)
    assert set((first.handed_over + second.handed_over).values()) == {1}
