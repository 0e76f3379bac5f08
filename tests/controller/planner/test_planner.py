"""The planner on a real PostgreSQL: caps, states, reasons."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from controller.store import Store
from tests.controller.planner.planned import (
    NOON,
    assert_ledger_is_the_messages,
    planner,
    rows,
    states,
    submit,
    used,
)

Fleet = Callable[..., list[str]]
Limit = Callable[..., None]


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
