"""Warm-ups toward single providers: a limit, days and an end of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from postfleet.v1 import fleet_pb2

from controller.fleet.why import explain
from controller.health.act import go_on
from controller.loops.warming import Warming
from controller.planner import ledger
from controller.planner.cycle import Planner
from controller.store import Store
from inventory.warm_up import WarmUp
from tests.controller.planner.planned import submit, used
from tests.controller.warm_up.fast_days import set_warm_up

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CURVES = [{"provider": "google", "mailbox": "1:2 3:6 9:60"}]


def run(database: str, sql: str, *parameters: object) -> list[Any]:
    with psycopg.connect(database) as connection:
        cursor = connection.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def curves(database: str, given: list[dict[str, str]]) -> None:
    """The inventory's."""
    set_warm_up(database, internal_days=0, mixed_days=0, providers=given)


@pytest.fixture
def address(database: str, make_fleet: Callable[..., list[str]]) -> str:
    """A mailbox that warms up, far enough to send 50 a day, but to google."""
    (address,) = make_fleet("acme", mailboxes=1, egresses=1)
    run(database, "UPDATE mailbox SET state = 'warming', warming = 'true'")
    curves(database, CURVES)
    return address


async def warm(store: Store, now: datetime) -> str:
    return await Warming(store, lambda: now).run_cycle()


async def send(store: Store, database: str, provider: str, count: int, now: datetime) -> None:
    """Makes that many wait, and plans."""
    ids = await submit(store, "acme", count)
    run(database, "UPDATE message SET provider = %s WHERE id = ANY(%s)", provider, ids)
    await Planner(store, 500, lambda: now).run_cycle()


def planned(database: str) -> Counter[str]:
    rows = run(database, "SELECT charged_provider FROM message WHERE state = 'scheduled'")
    return Counter(provider for (provider,) in rows)


def days(database: str) -> dict[str, int]:
    """By provider; '': for all mail."""
    return dict(run(database, "SELECT provider, day FROM warm_up WHERE NOT over"))


def was_sent(database: str, address: str, provider: str, now: datetime) -> None:
    """A receiver of this provider took mail on that day."""
    for toward in {"", provider if provider == "google" else ""}:
        run(
            database,
            "INSERT INTO warm_up_sent (scope, subject, day, provider)"
            " VALUES ('mailbox', %s, %s, %s) ON CONFLICT DO NOTHING",
            address, now.date(), toward,
        )  # fmt: skip


async def test_a_provider_with_a_curve_gets_no_more_than_it_admits(
    store: Store, database: str, address: str
) -> None:
    await warm(store, MONDAY)
    run(database, "UPDATE warm_up SET day = 35 WHERE provider = ''")
    await send(store, database, "yahoo", 7, MONDAY)
    await send(store, database, "google", 10, MONDAY + timedelta(minutes=2))
    assert planned(database) == {"google": 2, "yahoo": 7}
    assert used(database, "mailbox-provider") == {f"{address}/google": 2}
    assert sum(used(database, "egress-provider").values()) == 2
    ((held,),) = run(database, "SELECT held FROM mailbox")
    assert held == f"cap: mailbox {address} has used its 2 messages of the day to google"


async def test_before_the_first_look_the_first_day_holds(
    store: Store, database: str, address: str
) -> None:
    await send(store, database, "google", 10, MONDAY)
    assert planned(database) == {"google": 2}


async def test_only_days_on_which_the_provider_took_mail_count_toward_it(
    store: Store, database: str, address: str
) -> None:
    await warm(store, MONDAY)
    was_sent(database, address, "yahoo", MONDAY)
    await warm(store, MONDAY + DAY)
    assert days(database) == {"": 2, "google": 1}
    was_sent(database, address, "google", MONDAY + DAY)
    await warm(store, MONDAY + 2 * DAY)
    assert days(database) == {"": 3, "google": 2}
    evidence = run(database, "SELECT evidence FROM audit WHERE action = 'move-warm-up' ORDER BY id")
    assert [each.get("provider", "") for (each,) in evidence] == ["", "", "google"]


async def test_what_is_taken_back_gives_back_what_it_took_and_no_more(
    store: Store, database: str, address: str
) -> None:
    await warm(store, MONDAY)
    run(database, "UPDATE warm_up SET day = 35 WHERE provider = ''")
    curves(database, [])
    await send(store, database, "google", 3, MONDAY)
    before = [id for (id,) in run(database, "SELECT id FROM message WHERE state = 'scheduled'")]
    curves(database, CURVES)
    await send(store, database, "google", 5, MONDAY + timedelta(minutes=30))
    # Of today, but from before there was a curve.
    async with store.transaction() as tx:
        await ledger.refund(tx, before)
    assert used(database, "mailbox-provider") == {f"{address}/google": 2}
    after = [id for (id,) in run(database, "SELECT id FROM message WHERE charged_curves")]
    async with store.transaction() as tx:
        await ledger.refund(tx, after)
        await ledger.refund(tx, after)
    assert used(database, "mailbox-provider") == {f"{address}/google": 0}
    assert run(database, "SELECT count(*) FROM message WHERE charged_curves") == [(0,)]


async def test_it_goes_on_by_itself_when_the_one_for_all_mail_is_over(
    store: Store, database: str, address: str
) -> None:
    await warm(store, MONDAY)
    run(database, "UPDATE warm_up SET day = 35 WHERE provider = ''")
    was_sent(database, address, "yahoo", MONDAY)
    await warm(store, MONDAY + DAY)
    assert run(database, "SELECT state FROM mailbox") == [("active",)]
    await warm(store, MONDAY + DAY)
    assert days(database) == {"google": 1}
    await send(store, database, "google", 9, MONDAY + DAY)
    assert planned(database) == {"google": 2}
    run(database, "UPDATE warm_up SET day = 9")
    was_sent(database, address, "google", MONDAY + DAY)
    await warm(store, MONDAY + 2 * DAY)
    await warm(store, MONDAY + 2 * DAY)
    assert run(database, "SELECT count(*) FROM warm_up") == [(0,)]
    await send(store, database, "google", 1, MONDAY + 2 * DAY)
    assert planned(database)["google"] > 2


async def test_it_begins_anew_with_the_one_for_all_mail(
    store: Store, database: str, address: str
) -> None:
    await warm(store, MONDAY)
    run(database, "UPDATE warm_up SET day = 20, over = provider <> ''")
    async with store.transaction() as tx:
        warm_up = WarmUp.model_validate({"providers": CURVES})
        await go_on(tx, "mailbox", [address], MONDAY, bottom_of=warm_up)
    assert days(database) == {"": 1, "google": 1}


async def test_a_curve_that_is_gone_binds_nothing(
    store: Store, database: str, address: str
) -> None:
    await warm(store, MONDAY)
    run(database, "UPDATE warm_up SET day = 35 WHERE provider = ''")
    curves(database, [])
    await send(store, database, "google", 6, MONDAY)
    assert planned(database) == {"google": 6}
    await warm(store, MONDAY)
    assert days(database) == {"": 35}


async def test_why_says_it(store: Store, database: str, address: str) -> None:
    now = datetime.now(UTC)
    await warm(store, now)
    reply = await explain(store, fleet_pb2.WhyRequest(kind="mailbox", id=address))
    (fact,) = [each for each in reply.facts if each.name == "mailbox provider day"]
    assert fact.value == f"{address} × google: 0 of 2 used, 2 left"
    assert fact.evidence == "day 1 of 9 of its warm-up toward google, 2 a day"
    assert fact.change == "see its evidence"
