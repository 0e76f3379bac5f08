"""A receiver in no table is slowed by dispatch: one message after the other, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.store import Store
from tests.controller.loops.test_dispatch import Scene as DispatchScene
from tests.controller.small_fleet import sql

SMALL, OTHER = "mail.small.test", "mail.other.test"


class Slowed(DispatchScene):
    """n1 runs px1 with the mailboxes m1-1 and m1-2, both of acme.test; and px2 likewise."""

    async def slow(self, scope: str, subject: str, per_hour: float, receiver: str = SMALL) -> None:
        await self.store.execute(
            sql("INSERT INTO slow_down"
                " (scope, provider, subject, per_hour, since, lowered_at, rule, reason)"
                " VALUES (%(scope)s, %(receiver)s, %(subject)s, %(hourly)s, now(), now(), '', '')"),
            scope=scope, receiver=receiver, subject=subject, hourly=per_hour,
        )  # fmt: skip

    async def waiting(self, *ids: str, mailbox: str = "m1-1", receiver: str = SMALL) -> None:
        for id in ids:
            await self.scheduled(id, f"{mailbox}@acme.test")
        await self.store.execute(
            sql("UPDATE message SET provider = 'other', receiver = %(receiver)s"
                " WHERE id = ANY(%(ids)s)"), receiver=receiver, ids=list(ids),
        )  # fmt: skip

    async def forward(self, seconds: float) -> None:
        await self.store.execute(
            sql("UPDATE slow_down SET sent_at = sent_at - make_interval(secs => %(s)s)"), s=seconds
        )


@pytest.fixture
async def scene(store: Store, tmp_path: Path) -> Slowed:
    scene = Slowed(store)
    await scene.prepare(tmp_path)
    return scene


async def test_its_messages_go_one_by_one_as_far_apart_as_its_rate_says(scene: Slowed) -> None:
    await scene.slow("provider-egress", "px1", 60)
    await scene.waiting("a", "b", "c")
    [first] = await scene.sent()
    assert await scene.sent() == []
    await scene.forward(59)
    assert await scene.sent() == []
    await scene.forward(1)
    [second] = await scene.sent()
    assert {first, second} < {"a", "b", "c"}


async def test_nobody_elses_mail_waits_for_it(scene: Slowed) -> None:
    await scene.slow("provider-egress", "px1", 1)
    await scene.waiting("a", "b")
    await scene.waiting("other-receiver", receiver=OTHER)
    await scene.waiting("other-egress", mailbox="m2-1")
    sent = set(await scene.sent())
    assert {"other-receiver", "other-egress"} < sent
    assert len(sent) == 3


async def test_a_message_waits_for_the_slower_of_its_two_pairs(scene: Slowed) -> None:
    await scene.slow("provider-egress", "px1", 60)
    await scene.slow("provider-domain", "acme.test", 6)
    await scene.waiting("a", "b")
    await scene.waiting("c", mailbox="m2-1")
    assert len(await scene.sent()) == 1
    await scene.forward(61)
    assert await scene.sent() == [], "the domain's turn comes every ten minutes"
    await scene.forward(540)
    assert len(await scene.sent()) == 1


async def test_a_stopped_pair_has_no_turn(scene: Slowed) -> None:
    await scene.slow("provider-egress", "px1", 60)
    await scene.store.execute(
        sql("INSERT INTO suspension (scope, subject, source, reason) VALUES"
            " ('provider-egress', %(pair)s, 'shaping', '')"), pair=f"{SMALL}/px1",
    )  # fmt: skip
    await scene.waiting("a")
    assert await scene.sent() == []


async def test_a_turn_in_the_future_is_of_a_clock_that_was_set_back(scene: Slowed) -> None:
    await scene.slow("provider-egress", "px1", 1)
    await scene.waiting("a", "b")
    assert len(await scene.sent()) == 1
    await scene.forward(-3600 * 5)
    assert len(await scene.sent()) == 1
    assert await scene.sent() == []


async def test_a_provider_of_the_table_is_slowed_by_the_planner_alone(scene: Slowed) -> None:
    await scene.slow("provider-egress", "px1", 1, receiver="google")
    await scene.waiting("a", "b", receiver="google")
    assert len(await scene.sent()) == 2


async def test_what_tries_a_half_open_breaker_needs_no_turn(scene: Slowed) -> None:
    await scene.slow("provider-egress", "px1", 1)
    await scene.waiting("a", "b")
    assert len(await scene.sent()) == 1
    await scene.store.execute(
        sql("INSERT INTO breaker (scope, provider, subject, position, refusals, opened, changed_at,"
            " until) VALUES ('provider-egress', %(receiver)s, 'px1', 'open', 5, 1, now(), now())"),
        receiver=SMALL,
    )  # fmt: skip
    assert len(await scene.sent()) == 1
