"""Cancelling: at once where no node has it, on the node's word where one does, never a guess."""

from __future__ import annotations

import pytest
from postfleet.v1 import fleet_pb2, node_pb2

from controller.fleet.cancel import cancel_messages, judge
from controller.message_life import FINAL, State
from controller.server import Controller
from controller.store import Store
from tests.controller.sessions.scene import (
    audit_of,
    charged,
    connected,
    greylisted_and_not,
    running,
    states,
    states_are,
    states_have,
    submit,
    until,
)
from tests.controller.small_fleet import sql


async def cancel(store: Store, ids: list[str], *, dry_run: bool = False) -> dict[str, str]:
    request = fleet_pb2.CancelMessagesRequest(ids=ids, reason="wrong list", dry_run=dry_run)
    reply = await cancel_messages(store, request, "operator/jo")
    assert [each.id for each in reply.results] == ids
    return {each.id: each.outcome for each in reply.results}


async def reason_of(store: Store, id: str) -> str:
    return str(await store.fetch_value(sql("SELECT reason FROM message WHERE id = %(i)s"), i=id))


def row(state: str, **fields: object) -> dict[str, object]:
    return {"id": "m", "state": state, "node_id": "n1", "reason": "", "term_held": True, **fields}


@pytest.mark.parametrize("state", sorted(State))
def test_every_state_has_an_honest_answer(state: State) -> None:
    verdict = judge(row(state, reason="250 ok"), "operator/jo")
    expected = {
        **dict.fromkeys(FINAL, "too-late"),
        State.CANCELLED: "cancelled",
        State.DISPATCHED: "asked",
        State.QUEUED: "asked",
        State.UNCERTAIN: "too-late",
    }
    assert verdict.outcome == expected.get(state, "cancelled")
    assert verdict.ends == (state in (State.ACCEPTED, State.SCHEDULED))
    if state is State.UNCERTAIN:
        assert "may have been sent" in verdict.detail


def test_a_node_whose_term_is_over_is_named() -> None:
    verdict = judge(row("queued", term_held=False), "operator/jo")
    assert verdict.outcome == "asked"
    assert "n1, whose term is over" in verdict.detail


async def test_what_no_node_has_ends_at_once_and_gives_its_allowance_back(
    controller: Controller,
) -> None:
    store = controller.store
    ids = await submit(store, 3)
    await until(lambda: states_are(store, scheduled=3))
    assert set((await cancel(store, ids[:2], dry_run=True)).values()) == {"cancelled"}
    assert await states(store) == {"scheduled": 3}
    assert await cancel(store, [*ids[:2], "nobody"]) == {
        ids[0]: "cancelled", ids[1]: "cancelled", "nobody": "unknown",
    }  # fmt: skip
    assert await states(store) == {"scheduled": 1, "cancelled": 2}
    assert await charged(store) == {"egress": 1, "mailbox": 1}
    assert await reason_of(store, ids[0]) == "cancelled by operator/jo: wrong list"
    assert len(await audit_of(store, "cancel-message")) == 2
    # Once more: the same answer, and nothing happens.
    assert set((await cancel(store, ids[:2])).values()) == {"cancelled"}
    assert len(await audit_of(store, "cancel-message")) == 2


async def test_what_a_node_has_ends_when_the_node_gave_it_back_and_is_not_sent_again(
    controller: Controller,
) -> None:
    store = controller.store
    first, second = await greylisted_and_not(controller)
    second.hand_over = False
    async with running(first), running(second):
        await until(lambda: connected(store, "n1"))
        ids = await submit(store, 20)
        await until(lambda: states_are(store, queued=10, dispatched=10))
        deferred, spooled = sorted(first.spool)[:4], sorted(second.spool)[:4]
        asked = await cancel(store, deferred + spooled)
        assert set(asked.values()) == {"asked"}
        await until(lambda: states_have(store, cancelled=8))
        first.greylisted, second.hand_over = False, True
        await until(lambda: states_are(store, cancelled=8, sent=12))
    sent = first.handed_over + second.handed_over
    assert not any(sent[id] for id in asked)
    assert all(sent[id] == 1 for id in ids if id not in asked)
    # What a receiver was asked to take stays charged.
    assert await charged(store) == {"egress": 16, "mailbox": 16}


async def test_what_is_sent_before_the_node_can_stop_it_is_sent(
    controller: Controller,
) -> None:
    store = controller.store
    first, _ = await greylisted_and_not(controller)
    async with running(first):
        await until(lambda: connected(store, "n1"))
        await submit(store, 10)
        await until(lambda: first.tried and not first.events)
        (id, *_) = sorted(first.tried)
        first.done.add(id)
        assert await cancel(store, [id]) == {id: "asked"}
        await until(lambda: id in first.cancelled)
        first.event(id, node_pb2.EVENT_KIND_SENT, reason="250 ok")
        first.recall([])
        await until(lambda: not first.events)
        assert await cancel(store, [id]) == {id: "too-late"}
        assert (await states(store)).get("sent") == 1
