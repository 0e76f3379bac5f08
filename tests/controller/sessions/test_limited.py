"""What a receiver deferred while it takes less does not stay with Postfix, which would ask on."""

from __future__ import annotations

from controller.server import Controller
from controller.store import Store
from tests.controller.sessions.scene import (
    connected,
    greylisted_and_not,
    running,
    states_are,
    submit,
    until,
)
from tests.controller.small_fleet import sql


async def all_are_looked_at(store: Store) -> bool:
    """Whether each message has its provider; it goes on its way before that."""
    without = sql("SELECT count(*) FROM message WHERE provider IS NULL AND state <> 'sent'")
    return await store.fetch_value(without) == 0


async def test_deferred_mail_of_a_limited_pair_comes_back_and_goes_at_the_receivers_pace(
    controller: Controller,
) -> None:
    store = controller.store
    first, second = await greylisted_and_not(controller)
    async with running(first), running(second):
        await until(lambda: connected(store, "n1"))
        await until(lambda: connected(store, "n2"))
        ids = await submit(store, 20)
        await until(lambda: states_are(store, queued=10, sent=10))
        await until(lambda: all_are_looked_at(store))
        first.greylisted = False
        first.hand_over = False
        await store.execute(
            sql("INSERT INTO slow_down (scope, provider, subject, per_hour, since, lowered_at,"
                " rule, reason, evidence) SELECT DISTINCT 'provider-egress', provider, egress_id,"
                " 1, now(), now(), 'a-rule', 'less', '{}'::jsonb FROM message"
                " WHERE state = 'queued'")
        )  # fmt: skip
        await until(lambda: states_are(store, accepted=10, sent=10))
        held = await store.fetch_all(
            sql("SELECT DISTINCT charged_day IS NOT NULL AS charged, attempts FROM message"
                " WHERE state = 'accepted'")
        )  # fmt: skip
        assert held == [{"charged": True, "attempts": 1}]
        first.hand_over = True
        await store.execute(sql("DELETE FROM slow_down"))
        await until(lambda: states_are(store, sent=20))
    sent = first.handed_over + second.handed_over
    assert sent == dict.fromkeys(ids, 1)
