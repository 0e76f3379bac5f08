"""The planner on a real PostgreSQL: caps, states, reasons, several planners at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from controller.intake.check import Submission
from controller.intake.ingest import Taken, ingest
from controller.planner import ledger
from controller.planner.assignment import Assignment
from controller.planner.boxes import Waiting
from controller.planner.budgets import Budgets
from controller.planner.cycle import Planner
from controller.planner.limits import Caps, Sender
from controller.store import Store
from controller.store.errors import TransactionConflict
from controller.store.queries import Query
from inventory.schema import Limits

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
CANCEL = Query(
    "test",
    "cancel",
    "Cancels some scheduled messages.",
    "UPDATE message SET state = 'cancelled' WHERE id IN (SELECT id FROM message"
    " WHERE state = 'scheduled' ORDER BY random() LIMIT 2 FOR UPDATE SKIP LOCKED) RETURNING id",
    (),
)
BODY = b"Subject: hello\r\n\r\nbody\r\n"
Fleet = Callable[..., list[str]]
Limit = Callable[..., None]


async def submit(
    store: Store, client: str, count: int, mailbox: str = "", not_before: datetime | None = None
) -> list[str]:
    submit.serial += 1  # type: ignore[attr-defined]
    serial = submit.serial  # type: ignore[attr-defined]
    results = await ingest(
        store,
        [
            Submission(f"k{serial}-{n}", client, mailbox, f"r{n}@x.test", not_before, BODY)
            for n in range(count)
        ],
        lambda: NOON - timedelta(hours=1),
    )
    assert all(isinstance(r, Taken) for r in results), results
    return [r.message_id for r in results if isinstance(r, Taken)]


submit.serial = 0  # type: ignore[attr-defined]


def planner(store: Store, now: datetime = NOON, batch: int = 500) -> Planner:
    return Planner(store, batch, lambda: now)


def rows(database: str, sql: str, *parameters: object) -> list[Any]:
    with psycopg.connect(database) as connection:
        return connection.execute(sql, parameters).fetchall()


def states(database: str) -> Mapping[str, int]:
    return dict(rows(database, "SELECT state, count(*) FROM message GROUP BY state"))


def used(database: str, scope: str) -> Mapping[str, int]:
    return dict(rows(database, "SELECT subject, used FROM ledger WHERE scope = %s", scope))


LEDGER_OF_MESSAGES = """
WITH charged AS (
    SELECT mailbox, egress_id, split_part(mailbox, '@', 2) AS domain, client_id,
           charged_provider AS provider, charged_day AS day, charged_hour AS hour,
           coalesce((SELECT campaign_id FROM campaign_lane AS l WHERE l.id = lane), '') AS campaign
    FROM message WHERE charged_day IS NOT NULL)
SELECT scope, subject, bucket, count(*) FROM (
    SELECT 'mailbox', mailbox, day::text FROM charged
    UNION ALL SELECT 'egress', egress_id, day::text FROM charged
    UNION ALL SELECT 'domain', domain, day::text FROM charged
    UNION ALL SELECT 'client', client_id, day::text FROM charged
    UNION ALL SELECT 'domain-provider', domain || '/' || provider, day::text FROM charged
    UNION ALL SELECT 'mailbox', mailbox, hour::text FROM charged
    UNION ALL SELECT 'egress', egress_id, hour::text FROM charged
    UNION ALL SELECT 'domain-provider', domain || '/' || provider, hour::text FROM charged
    UNION ALL SELECT 'campaign', client_id || '/' || campaign, hour::text FROM charged
    UNION ALL SELECT 'provider-egress', provider || '/' || egress_id, hour::text FROM charged
) AS each (scope, subject, bucket) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
LEDGER = """
SELECT scope, subject, day::text AS bucket, used FROM ledger WHERE used > 0
UNION ALL SELECT scope, subject, hour::text, used FROM ledger_hour WHERE used > 0
ORDER BY 1, 2, 3"""


def assert_ledger_is_the_messages(database: str) -> None:
    """The ledger says exactly what messages were charged."""
    assert rows(database, LEDGER) == rows(database, LEDGER_OF_MESSAGES)


async def test_messages_get_mailboxes_in_turn_with_from_and_the_ledger(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    addresses = make_fleet("acme", mailboxes=4, egresses=2)
    await submit(store, "acme", 8)
    said = await planner(store).run_cycle()
    assert said == "assigned 8 messages (acme 8)"
    assert states(database) == {"scheduled": 8}
    assert used(database, "mailbox") == dict.fromkeys(addresses, 2)
    assert used(database, "egress") == {"acme-e0": 4, "acme-e1": 4}
    for mailbox, egress, added in rows(
        database,
        "SELECT mailbox, egress_id, added FROM message JOIN message_content ON id = message_id",
    ):
        number = addresses.index(mailbox)
        assert egress == f"acme-e{number % 2}"
        assert added.startswith(f'From: "Person {number}" <{mailbox}>\r\nMessage-ID: '.encode())
    assert_ledger_is_the_messages(database)


async def test_a_named_mailbox_is_respected_and_its_cap_binds(
    store: Store, database: str, make_fleet: Fleet, limit_fleet: Limit
) -> None:
    addresses = make_fleet("acme")
    limit_fleet(mailbox_per_day=3)
    await submit(store, "acme", 5, addresses[1])
    said = await planner(store).run_cycle()
    assert "assigned 3" in said
    assert "has used its 3 messages" in said
    assert used(database, "mailbox") == {addresses[1]: 3}
    await planner(store).run_cycle()
    reasons = rows(database, "SELECT DISTINCT reason FROM message WHERE state = 'accepted'")
    assert reasons == [(f"cap: mailbox {addresses[1]} has used its 3 messages of the day",)]


async def test_the_next_day_brings_new_allowances(
    store: Store, database: str, make_fleet: Fleet, limit_fleet: Limit
) -> None:
    make_fleet("acme", mailboxes=2, egresses=1)
    limit_fleet(egress_per_day=3, mailbox_per_day=2)
    await submit(store, "acme", 5)
    await planner(store).run_cycle()
    assert states(database) == {"scheduled": 3, "accepted": 2}
    # What was scheduled is on its way before midnight.
    rows(database, "UPDATE message SET state = 'sent' WHERE state = 'scheduled' RETURNING 1")
    await planner(store, NOON + timedelta(days=1)).run_cycle()
    assert states(database) == {"sent": 3, "scheduled": 2}
    assert rows(database, "SELECT DISTINCT reason FROM message") == [("",)]


async def test_what_was_not_sent_on_its_day_is_charged_to_the_day_on_which_it_is(
    store: Store, database: str, make_fleet: Fleet, limit_fleet: Limit
) -> None:
    make_fleet("acme", mailboxes=1, egresses=1)
    limit_fleet(mailbox_per_day=2)
    await submit(store, "acme", 4)
    await planner(store).run_cycle()
    tomorrow = planner(store, NOON + timedelta(days=1))
    said = await tomorrow.run_cycle()
    assert said.startswith("took 2 back that were planned for an hour that is over")
    assert states(database) == {"scheduled": 2, "accepted": 2}
    days = rows(database, "SELECT day, used FROM ledger WHERE scope = 'mailbox' ORDER BY day")
    assert [count for _, count in days] == [0, 2]
    assert_ledger_is_the_messages(database)


@pytest.mark.parametrize("scope", ["client", "domain", "egress", "mailbox"])
async def test_what_is_suspended_gets_nothing_and_says_so(
    store: Store, database: str, make_fleet: Fleet, scope: str
) -> None:
    (address,) = make_fleet("acme", mailboxes=1, egresses=1)
    subject = {
        "client": "acme", "domain": "d0.acme.test", "egress": "acme-e0", "mailbox": address
    }[scope]  # fmt: skip
    rows(
        database,
        "INSERT INTO suspension (scope, subject, source, reason, until)"
        " VALUES (%s, %s, 'operator', 'bad day', %s) RETURNING 1",
        scope,
        subject,
        NOON + timedelta(hours=1),
    )
    await submit(store, "acme", 1, address)
    await submit(store, "acme", 1)
    await planner(store).run_cycle()
    assert states(database) == {"accepted": 2}
    for (reason,) in rows(database, "SELECT reason FROM message"):
        assert f"{scope} {subject} is suspended: bad day" in reason
    await planner(store, NOON + timedelta(hours=2)).run_cycle()
    assert states(database) == {"scheduled": 2}


async def test_a_reason_that_changes_is_corrected_at_the_head_of_the_queue(
    store: Store, database: str, make_fleet: Fleet, limit_fleet: Limit
) -> None:
    (address,) = make_fleet("acme", mailboxes=1, egresses=1)
    limit_fleet(mailbox_per_day=0)
    await submit(store, "acme", 2, address)
    await submit(store, "acme", 2)
    await planner(store).run_cycle()
    rows(
        database,
        "INSERT INTO suspension (scope, subject, source, reason)"
        " VALUES ('mailbox', %s, 'operator', 'complaints') RETURNING 1",
        address,
    )
    await planner(store).run_cycle()
    assert all("complaints" in reason for (reason,) in rows(database, "SELECT reason FROM message"))


async def test_messages_wait_for_their_time(store: Store, database: str, make_fleet: Fleet) -> None:
    make_fleet("acme")
    await submit(store, "acme", 1, not_before=NOON + timedelta(hours=2))
    said = await planner(store).run_cycle()
    assert said == "nothing to assign: no message is due"
    await planner(store, NOON + timedelta(hours=2)).run_cycle()
    assert states(database) == {"scheduled": 1}


async def test_clients_get_their_batches_in_turn(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    for client, count in (("acme", 20), ("bolt", 3)):
        make_fleet(client)
        await submit(store, client, count)
    small = planner(store, batch=4)
    assert await small.run_cycle() == "assigned 7 messages (acme 4, bolt 3)"
    assert small.is_busy
    while small.is_busy:
        await small.run_cycle()
    assert states(database) == {"scheduled": 23}


@pytest.mark.parametrize(("egress_cap", "most", "scheduled"), [(50, 20, 200), (70, 20, 240)])
async def test_planners_at_once_never_pass_a_cap(
    store: Store,
    database: str,
    make_fleet: Fleet,
    limit_fleet: Limit,
    egress_cap: int,
    most: int,
    scheduled: int,
) -> None:
    for client in ("acme", "bolt"):
        addresses = make_fleet(client, mailboxes=6, egresses=2)
        await submit(store, client, 150)
        await submit(store, client, 40, addresses[0])
    limit_fleet(mailbox_per_day=20, egress_per_day=egress_cap)
    planners = [planner(store, batch=7) for _ in range(6)]
    for _ in range(25):
        await asyncio.gather(*(p.run_cycle() for p in planners))
    assert max(used(database, "mailbox").values()) <= most
    assert set(used(database, "egress").values()) == {scheduled // 4}
    assert states(database) == {"scheduled": scheduled, "accepted": 380 - scheduled}
    assert_ledger_is_the_messages(database)


async def test_the_charge_itself_refuses_what_passes_a_cap_whatever_was_read(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    # Planners that all believe in a whole day's allowance, as after a lost lock: none is held.
    (address,) = make_fleet("acme", mailboxes=1, egresses=1)
    gate = asyncio.Barrier(8)
    budgets = Budgets(Caps.of(Limits(mailbox_per_day=10, mailbox_per_hour=100)), {})
    sender = Sender(address, "acme-e0", "d0.acme.test", "acme")

    async def charge(n: int) -> int:
        wanted = [
            Assignment(Waiting(f"{n}-{i}", None, "google", NOON), sender, NOON, NOON.date(), NOON)
            for i in range(3)
        ]
        try:
            async with store.transaction() as tx:
                await gate.wait()
                await ledger.charge(tx, wanted, budgets)
        except TransactionConflict:
            return 0
        return 3

    charged = sum(await asyncio.gather(*(charge(n) for n in range(8))))
    assert charged == 9
    assert used(database, "mailbox") == {address: 9}
    assert used(database, "egress") == {"acme-e0": 9}


async def test_a_refund_is_given_once_also_to_two_at_once(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    make_fleet("acme")
    ids = await submit(store, "acme", 10)
    await planner(store).run_cycle()

    async def refund() -> int:
        async with store.transaction() as tx:
            return await ledger.refund(tx, ids[:6])

    given = await asyncio.gather(*(refund() for _ in range(4)))
    assert sorted(given) == [0, 0, 0, 6]
    assert sum(used(database, "mailbox").values()) == 4
    assert_ledger_is_the_messages(database)


async def test_refunds_and_planners_at_once_keep_the_ledger_true(
    store: Store, database: str, make_fleet: Fleet, limit_fleet: Limit
) -> None:
    make_fleet("acme", mailboxes=5, egresses=2)
    limit_fleet(mailbox_per_day=12, egress_per_day=30)
    await submit(store, "acme", 120)
    planners = [planner(store, batch=5) for _ in range(3)]

    async def cancel_some() -> None:
        for _ in range(10):

            async def work(tx: Any) -> None:
                picked = await tx.fetch_all(CANCEL)
                await ledger.refund(tx, [row["id"] for row in picked])

            await store.run(work)

    for _ in range(6):
        await asyncio.gather(*(p.run_cycle() for p in planners), cancel_some())
    assert max(used(database, "mailbox").values()) <= 12
    assert max(used(database, "egress").values()) <= 30
    assert_ledger_is_the_messages(database)


async def test_a_mailbox_is_looked_at_when_a_receiver_takes_mail_again(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    """The stop of a pair ends, and its slow rate doubles, at instants that are known."""
    make_fleet("acme", mailboxes=2, egresses=2)
    now = datetime.now(UTC)
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO suspension (scope, subject, source, reason, until)"
            " VALUES ('provider-egress', 'unknown/acme-e0', 'breaker', 'r', %s)",
            (now + timedelta(seconds=30),),
        )
        # Since two and a half hours: it admits 4 an hour now, 8 in half an hour. All are used.
        since = now - timedelta(minutes=150) + timedelta(seconds=40)
        connection.execute(
            "INSERT INTO slow_down (scope, provider, subject, per_hour, since, lowered_at, rule,"
            " reason, evidence) VALUES ('provider-egress', 'unknown', 'acme-e1', 1, %s, %s, 'r',"
            " 'r', '{}')",
            (since, since),
        )
    await submit(store, "acme", 9)
    await planner(store, now).run_cycle()
    until = dict(rows(database, "SELECT egress_id, held_until FROM mailbox ORDER BY egress_id"))
    # Slots are filled five minutes ahead of their time: near its end the next hour is used, too.
    last = now + timedelta(minutes=5)
    hour_over = last.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    assert until["acme-e0"] == min(now + timedelta(seconds=30), hour_over)
    assert until["acme-e1"] == min(since + timedelta(hours=3), hour_over)
    given = 4 if last.hour == now.hour else 8
    assert states(database) == {"scheduled": given, "accepted": 9 - given}
