"""Health in the database: who is stopped, in which order, and how it comes back."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.fleet.apply import apply_inventory
from controller.fleet.wanted import wanted_rows
from controller.health.counts import COMPLAINT, SENT
from controller.health.tally import Tally, Whose
from controller.keys.sealing import open_sealer
from controller.loops.health import Health
from controller.planner.cycle import Planner
from controller.store import Store
from tests.controller.small_fleet import apply, small_inventory, sql

_numbers = itertools.count(1)


class Scene:
    """Four egresses with three mailboxes each, of one domain; and what is told of them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.later = timedelta()
        self.health = Health(store, lambda: datetime.now(UTC) + self.later)

    async def tell(self, mailbox: str, **numbers: int) -> None:
        egress = f"px{mailbox[1]}"

        async def work(tx: Any) -> None:
            tally = Tally()
            for kind, number in numbers.items():
                for _ in range(number):
                    tally.add(Whose(f"{mailbox}@acme.test", egress, "google"), kind)
            await tally.write(tx)

        await self.store.run(work)

    async def complaints(self, *mailboxes: str) -> None:
        for mailbox in mailboxes:
            await self.tell(mailbox, **{SENT: 350, COMPLAINT: 4})

    async def bands(self) -> dict[str, str]:
        return dict(await self.rows("SELECT subject, band FROM health WHERE band <> 'good'"))

    async def rows(self, text: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in await self.store.fetch_all(sql(text))]

    async def stopped(self) -> list[str]:
        return [subject for (subject,) in await self.rows(
            "SELECT subject FROM suspension WHERE source = 'health' ORDER BY subject")]  # fmt: skip

    async def submit(self, mailbox: str | None, count: int = 1) -> None:
        for _ in range(count):
            await self.store.execute(
                sql("INSERT INTO message (id, client_id, mailbox,"
                    " recipient, not_before, size, provider, receiver)"
                    " VALUES (%(id)s, 'acme', %(mailbox)s, 'r@google.test', now(), 1,"
                    " 'google', 'google')"),
                id=f"m{next(_numbers):04}", mailbox=mailbox and f"{mailbox}@acme.test",
            )  # fmt: skip


@pytest.fixture
async def scene(store: Store, tmp_path: Path) -> Scene:
    await apply(store, open_sealer(tmp_path), small_inventory(nodes=1, mailboxes=3))
    return Scene(store)


async def test_a_good_sender_is_left_alone(scene: Scene) -> None:
    await scene.tell("m1-1", **{SENT: 350, "reply": 20})
    assert await scene.health.run_cycle() == "judged 3, 0 changed"
    assert await scene.bands() == {}
    (score,) = await scene.rows("SELECT score FROM health WHERE subject = 'm1-1@acme.test'")
    assert score == (100.0,)
    # Only what the overlap of looks shows once more.
    assert "0 changed" in await scene.health.run_cycle()


async def test_a_mailbox_with_complaints_is_paused_and_planned_no_more(scene: Scene) -> None:
    await scene.complaints("m1-1")
    await scene.health.run_cycle()
    bands = await scene.bands()
    # The egress and the domain are slowed by these figures, but only the mailbox is stopped.
    assert bands == {"m1-1@acme.test": "paused", "px1": "slowed", "acme.test": "slowed"}
    assert await scene.stopped() == ["m1-1@acme.test"]
    (entry,) = await scene.rows(
        "SELECT action, reason, evidence FROM audit WHERE subject = 'mailbox/m1-1@acme.test'"
    )
    assert entry[0] == "pause-mailbox"
    assert "4 complaints of 350" in entry[1]
    assert entry[2]["band"] == {"before": "good", "now": "paused"}
    await scene.submit("m1-1")
    await scene.submit("m1-2")
    await Planner(scene.store).run_cycle()
    assert await scene.rows("SELECT mailbox, state FROM message ORDER BY mailbox") == [
        ("m1-1@acme.test", "accepted"),
        ("m1-2@acme.test", "scheduled"),
    ]


async def test_first_the_mailboxes_then_the_egress_then_the_domain(scene: Scene) -> None:
    await scene.complaints("m1-1", "m1-2")
    await scene.health.run_cycle()
    assert (await scene.bands())["px1"] == "paused"
    assert "px1" in await scene.stopped()
    assert (await scene.bands())["acme.test"] == "slowed"
    await scene.complaints("m2-1", "m2-2")
    await scene.health.run_cycle()
    bands = await scene.bands()
    assert (bands["px2"], bands["acme.test"]) == ("paused", "paused")
    assert {"acme.test", "px1", "px2"} < set(await scene.stopped())
    (reason,) = await scene.rows("SELECT reason FROM health WHERE subject = 'acme.test'")
    assert "2 of its 4 egresses are stopped: px1, px2" in reason[0]


async def test_what_was_paused_comes_back_at_the_bottom_and_is_judged_anew(scene: Scene) -> None:
    await scene.complaints("m1-1")
    await scene.health.run_cycle()
    scene.later = timedelta(days=2)
    await scene.health.run_cycle()
    assert await scene.stopped() == ["m1-1@acme.test"]
    scene.later = timedelta(days=3, minutes=1)
    await scene.health.run_cycle()
    assert (await scene.bands())["m1-1@acme.test"] == "watch"
    assert await scene.stopped() == []
    assert await scene.rows(
        "SELECT b.state, w.day, w.signal FROM mailbox AS b"
        " JOIN warm_up AS w ON w.subject = b.address"
    ) == [("warming", 1, "freeze")]
    scene.later = timedelta(days=5)
    await scene.health.run_cycle()
    assert "m1-1@acme.test" not in await scene.bands()
    assert await scene.rows("SELECT signal FROM warm_up") == [("",)]
    actions = await scene.rows(
        "SELECT action FROM audit WHERE subject = 'mailbox/m1-1@acme.test' ORDER BY id"
    )
    assert [each[0] for each in actions] == ["pause-mailbox", "requalify-mailbox", "clear-mailbox"]


async def test_a_slowed_one_sends_less_and_steps_back_in_its_warm_up(
    store: Store, tmp_path: Path
) -> None:
    limits = {"mailbox_per_day": 10, "mailbox_per_hour": 10}
    inventory = small_inventory(nodes=1, egresses=1, mailboxes=1, limits=limits)
    await apply(store, open_sealer(tmp_path), inventory)
    scene = Scene(store)
    await store.execute(sql("INSERT INTO warm_up VALUES ('mailbox', 'm1-1@acme.test', 20, now())"))
    await scene.tell("m1-1", **{SENT: 350, COMPLAINT: 2})
    await scene.health.run_cycle()
    assert (await scene.bands())["m1-1@acme.test"] == "slowed"
    assert await scene.rows("SELECT signal FROM warm_up") == [("back",)]
    await scene.submit("m1-1", 10)
    await Planner(store).run_cycle()
    assert await scene.rows("SELECT count(*) FROM message WHERE state = 'scheduled'") == [(5,)]


async def test_of_two_mailboxes_the_healthier_one_sends_more(scene: Scene) -> None:
    for mailbox, score in (("m1-1", 25), ("m1-2", 100)):
        await scene.store.execute(
            sql("INSERT INTO health (scope, subject, since, judged_at, score)"
                " VALUES ('mailbox', %(of)s, now(), now(), %(score)s)"),
            of=f"{mailbox}@acme.test", score=score,
        )  # fmt: skip
    await scene.store.execute(
        sql("DELETE FROM mailbox WHERE address NOT IN ('m1-1@acme.test', 'm1-2@acme.test')")
    )
    await scene.submit(None, 50)
    await Planner(scene.store).run_cycle()
    shares = dict(await scene.rows("SELECT mailbox, count(*) FROM message GROUP BY 1"))
    assert shares["m1-2@acme.test"] == pytest.approx(4 * shares["m1-1@acme.test"], abs=4)


async def test_neither_an_apply_nor_another_hand_lifts_healths_stop(
    scene: Scene, tmp_path: Path
) -> None:
    await scene.complaints("m1-1")
    await scene.health.run_cycle()
    wanted = small_inventory(nodes=1, mailboxes=3).model_dump(mode="json")
    wanted["domains"][0]["mailboxes"][0]["warming"] = True
    rows = wanted_rows(type(small_inventory()).model_validate(wanted), {"env:PROXY": "secret"})
    await apply_inventory(scene.store, open_sealer(tmp_path), rows, "operator/test")
    await scene.health.run_cycle()
    assert await scene.stopped() == ["m1-1@acme.test"]
    await scene.store.execute(
        sql("INSERT INTO suspension (scope, subject, source, reason)"
            " VALUES ('mailbox', 'm1-1@acme.test', 'operator', 'mine')")
    )  # fmt: skip
    scene.later = timedelta(days=4)
    await scene.health.run_cycle()
    assert await scene.rows("SELECT source FROM suspension") == [("operator",)]


async def test_hours_become_days_and_count_as_before(scene: Scene) -> None:
    await scene.complaints("m1-1")
    await scene.store.execute(
        sql("UPDATE health_hour SET hour = hour - interval '4 days', changed_at = now()")
    )
    before = await scene.rows("SELECT scope, subject, kind, sum(count) FROM health_hour"
                              " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3")  # fmt: skip
    await scene.health.run_cycle()
    assert await scene.rows("SELECT count(*) FROM health_hour") == [(0,)]
    assert await scene.rows("SELECT scope, subject, kind, sum(count) FROM health_day"
                            " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3") == before  # fmt: skip
    await scene.tell("m1-1", **{SENT: 1})
    await scene.health.run_cycle()
    assert (await scene.bands())["m1-1@acme.test"] == "paused"


async def test_a_leader_that_dies_leaves_nothing_unjudged(scene: Scene) -> None:
    await scene.tell("m2-1", **{SENT: 1})
    await scene.health.run_cycle()
    await scene.complaints("m1-1")
    await Health(scene.store).run_cycle()
    assert await scene.stopped() == ["m1-1@acme.test"]


async def test_what_a_receiver_calls_listed_is_quarantined(scene: Scene) -> None:
    await scene.store.execute(
        sql("INSERT INTO suspension (scope, subject, source, stage, reason, until)"
            " VALUES ('egress', 'px3', 'shaping', 'spamhaus-address-at-large-providers',"
            " 'it says so', now() + interval '1 day')")
    )  # fmt: skip
    await scene.tell("m3-1", **{"bounced:reputation": 1})
    await scene.health.run_cycle()
    assert (await scene.bands())["px3"] == "quarantined"
    (row,) = await scene.rows("SELECT until > now() + interval '29 days', reason FROM health"
                              " WHERE subject = 'px3'")  # fmt: skip
    assert row[0]
    assert "on a blocking list, by rule spamhaus" in row[1]
