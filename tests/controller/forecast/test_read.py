"""A forecast from a database, beside what the planner then does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from postfleet.v1 import forecast_pb2

from controller.campaigns.steer import steer
from controller.fleet.errors import NotFoundError, RefusedError
from controller.forecast.read import read
from controller.forecast.run import foresee
from controller.forecast.service import told
from controller.store import Store
from tests.controller.campaigns.scene import end, rows, start
from tests.controller.planner.planned import planner

SENT = "UPDATE message SET state = 'sent' WHERE state = 'scheduled' RETURNING not_before"
PEOPLE = [f"p{n:02}@reader.test" for n in range(40)]


async def asked(store: Store, days: int = 60) -> forecast_pb2.CampaignForecast:
    known = await store.run(lambda tx: read(tx, "november"))
    return told(known, foresee(known.situation, days))


@pytest.fixture
def three_boxes(
    make_fleet: Callable[..., list[str]], limit_fleet: Callable[..., None]
) -> list[str]:
    limit_fleet(mailbox_per_day=6, mailbox_per_hour=2)
    return make_fleet("acme", mailboxes=3, egresses=1)


async def test_it_foresees_the_days_on_which_the_planner_sends(
    store: Store, database: str, three_boxes: list[str]
) -> None:
    await start(store, PEOPLE, delays_days=[])
    foreseen = {each.date: each.first_messages for each in (await asked(store)).days}
    went: Counter[str] = Counter()
    now = datetime.now(UTC)
    for _ in range(5 * 24):
        await planner(store, now).run_cycle()
        went.update(each.astimezone(UTC).date().isoformat() for each in rows(database, SENT))
        now = now.replace(minute=1, second=0, microsecond=0) + timedelta(hours=1)
    assert sum(went.values()) == len(PEOPLE)
    assert foreseen == went


async def test_what_is_on_its_way_and_what_follows_is_foreseen(
    store: Store, database: str, three_boxes: list[str]
) -> None:
    await start(store, PEOPLE[:6], delays_days=[3])
    end(database, "sent", "p00%")
    rows(database, "UPDATE message SET state = 'queued', mailbox = 'm001@d0.acme.test',"
                   " attempts = 1 WHERE recipient LIKE 'p01%' RETURNING 1")  # fmt: skip
    rows(
        database,
        "UPDATE campaign_recipient SET next_at = now() + interval '2 days',"
        " mailbox = 'm002@d0.acme.test' WHERE recipient LIKE 'p00%' RETURNING 1",
    )
    found = await asked(store)
    assert found.under_way == 1
    assert [(step.step, step.messages) for step in found.steps] == [(0, 4), (1, 6)]
    assert (found.mailboxes_able, found.mailboxes) == (3, 3)
    day = date.fromisoformat(found.days[-1].date)
    assert day >= (datetime.now(UTC) + timedelta(days=2, hours=20)).date()
    assert found.HasField("finishes_at")


async def test_a_paused_pool_is_foreseen_never_to_end(
    store: Store, database: str, three_boxes: list[str]
) -> None:
    await start(store, PEOPLE[:3], delays_days=[])
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO suspension (scope, subject, source, reason, since, noted_at)"
            " VALUES ('client', 'acme', 'operator', 'unpaid', now(), now())"
        )
    found = await asked(store)
    assert (found.left, found.mailboxes_able, found.mailboxes) == (3, 0, 3)
    assert not found.HasField("finishes_at")
    assert [limit.what for limit in found.limits] == ["no mailbox of its pool may send"]


async def test_a_paused_campaign_is_foreseen_and_a_cancelled_one_is_not(
    store: Store, three_boxes: list[str]
) -> None:
    await start(store, PEOPLE[:3], delays_days=[])
    await store.run(lambda tx: steer(tx, "november", "pause", "", "operator/ann"))
    found = await asked(store)
    assert (found.state, found.left) == ("paused", 0)
    assert sum(day.first_messages for day in found.days) == 3
    await store.run(lambda tx: steer(tx, "november", "cancel", "", "operator/ann"))
    with pytest.raises(RefusedError, match="was cancelled"):
        await asked(store)
    with pytest.raises(NotFoundError, match="there is no campaign 'may'"):
        await store.run(lambda tx: read(tx, "may"))
