"""What a shaping rule calls refused for good ends, though its Postfix would go on trying."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postfleet.v1 import node_pb2

from controller.keys.sealing import open_sealer
from controller.server import Controller
from controller.store import Store
from tests.controller.sessions.scene import (
    CALM_LEASE,
    charged,
    connected,
    greylisted_and_not,
    one_controller,
    running,
    states_are,
    submit,
    until,
)
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.small_fleet import apply, small_inventory, sql

RULES = """
[[rule]]
name = "never-here"
text = 'never here'
action = "bounce"
why = "they mean it"
source = ["a test"]
samples = ["451 4.7.1 never here"]
near_misses = ["451 4.7.1 not now"]
"""
WORDS = "host mx.x.test[203.0.113.5] said: 451 4.7.1 {} (in reply to RCPT TO command)"


@pytest.fixture
async def ruled(database: str, store: Store, tmp_path: Path) -> AsyncIterator[Controller]:
    """Two nodes, and the rule above."""
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    await apply(store, open_sealer(tmp_path), small_inventory(lease=CALM_LEASE))
    async with one_controller(database, tmp_path, shaping=rules) as controller:
        yield controller


def say(agent: SimulatedAgent, id: str, words: str) -> None:
    """The agent's next attempt with this message is answered so."""
    reason = WORDS.format(words)
    agent.event(
        id, node_pb2.EVENT_KIND_DEFERRED, reason=reason, relay="mx.x.test[203.0.113.5]:25",
        log_line=reason,
    )  # fmt: skip
    agent.recall([])


async def test_a_message_that_is_refused_for_good_comes_back_and_is_bounced_with_those_words(
    ruled: Controller,
) -> None:
    store = ruled.store
    first, _ = await greylisted_and_not(ruled)
    async with running(first):
        await until(lambda: connected(store, "n1"))
        await submit(store, 12)
        await until(lambda: states_are(store, scheduled=6, queued=6))
        await until(lambda: not first.events)
        for_good, *others = sorted(first.spool)
        say(first, for_good, "Never here")
        say(first, others[0], "not now")
        await until(lambda: states_are(store, scheduled=6, queued=5, bounced=1))
        assert for_good not in first.spool
        assert others[0] in first.spool
    row = await store.fetch_one(sql("SELECT id, reason FROM message WHERE state = 'bounced'"))
    assert (row["id"], row["reason"]) == (for_good, WORDS.format("Never here"))
    assert (await charged(store))["mailbox"] == 12, "a receiver was asked"


async def test_what_the_receiver_took_before_it_came_back_is_sent(ruled: Controller) -> None:
    store = ruled.store
    first, _ = await greylisted_and_not(ruled)
    async with running(first):
        await until(lambda: connected(store, "n1"))
        await submit(store, 2)
        await until(lambda: first.tried and not first.events)
        id = next(iter(first.tried))
        first.done.add(id)
        say(first, id, "Never here")
        await until(lambda: id in first.cancelled)
        first.event(id, node_pb2.EVENT_KIND_SENT, reason="250 ok")
        first.recall([])
        state = sql("SELECT state = 'sent' FROM message WHERE id = %(id)s")
        await until(lambda: store.fetch_value(state, id=id))
