"""Warm-up mail on a real PostgreSQL: its threads, its limits, its mark, and restarts."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from statistics import median

import pytest

from controller.planner.lanes import WARM_UP
from controller.planner.warm_up import allowance
from controller.store import Store
from controller.warm_up.threads import length
from controller.warm_up.write import WarmUpMail
from inventory.warm_up import WarmUp, curve_points
from tests.controller.planner.planned import assert_ledger_is_the_messages, submit
from tests.controller.warm_up.fast_days import BEGIN, FastDays, begin_warming, rows, set_warm_up

DAY = timedelta(days=1)
CURVE = curve_points(WarmUp().mailbox)
Fleet = Callable[..., list[str]]
MAIL = """
SELECT m.id, m.client_id, m.mailbox, m.recipient, m.state, w.thread, w.position, w.done,
       m.charged_day, c.added || c.content AS content
FROM message AS m JOIN warm_up_mail AS w ON w.message_id = m.id
JOIN message_content AS c ON c.message_id = m.id ORDER BY w.thread, w.position"""


@pytest.fixture
def days(store: Store, database: str) -> FastDays:
    return FastDays(store, database)


async def test_threads_go_to_and_fro_and_name_what_they_answer(
    database: str, days: FastDays, make_fleet: Fleet
) -> None:
    addresses = make_fleet("acme", mailboxes=6, egresses=2, domains=2)
    begin_warming(database, *addresses[:4])
    await days.run(3 * DAY)
    threads = defaultdict(list)
    for row in rows(database, MAIL):
        threads[row[5]].append(row)
    assert len(threads) > 20
    answered = 0
    for thread, messages in threads.items():
        ids: list[str] = []
        assert [row[6] for row in messages] == list(range(len(messages)))
        assert len(messages) <= length(thread)
        for id, _, mailbox, recipient, _, _, position, done, _, content in messages:
            message = email.message_from_bytes(bytes(content), policy=email.policy.default)
            assert message["From"].addresses[0].addr_spec == mailbox
            assert message["To"].addresses[0].addr_spec == recipient
            references = str(message["References"] or "").split()
            assert references == ids
            assert str(message["In-Reply-To"] or "") == (ids[-1] if ids else "")
            if position:
                answered += 1
                assert {mailbox, recipient} == {messages[0][2], messages[0][3]}
                assert mailbox == messages[position - 1][3]
            assert done == (position + 1 == length(thread)) or position < len(messages) - 1 or done
            ids.append(str(message["Message-ID"]))
            assert ids[-1].startswith(f"<{id}@")
    assert answered > 15
    assert_ledger_is_the_messages(database)


async def test_replies_come_an_hour_to_a_day_after_what_they_answer(
    database: str, days: FastDays, make_fleet: Fleet
) -> None:
    begin_warming(database, *make_fleet("acme", mailboxes=6, egresses=2))
    await days.run(3 * DAY)
    delays = rows(database, """
        SELECT reply.not_before - first.final_at FROM warm_up_mail AS r
        JOIN message AS reply ON reply.id = r.message_id
        JOIN warm_up_mail AS f ON f.thread = r.thread AND f.position = r.position - 1
        JOIN message AS first ON first.id = f.message_id""")  # fmt: skip
    assert len(delays) > 15
    assert min(delay for (delay,) in delays) >= timedelta(minutes=45)
    # A day, and what a mailbox with five slots a day waits for its next one.
    assert max(delay for (delay,) in delays) <= timedelta(hours=24 + 12)
    assert median(delay for (delay,) in delays) <= timedelta(hours=16)


async def test_what_is_written_keeps_to_the_curve_and_counts_in_every_limit(
    database: str, days: FastDays, make_fleet: Fleet
) -> None:
    addresses = make_fleet("acme", mailboxes=5, egresses=1)
    begin_warming(database, *addresses[:4], day=13)
    await days.run(4 * DAY)
    for address in addresses[:4]:
        for day, count in rows(
            database,
            "SELECT charged_day, count(*) FROM message WHERE mailbox = %s GROUP BY 1",
            address,
        ):
            # Of day 13 on the first day, at most one further on each day.
            assert count <= allowance(CURVE, 13 + (day - BEGIN.date()).days)
    ((replies,),) = rows(
        database,
        "SELECT coalesce(max(count), 0) FROM (SELECT count(*) FROM message WHERE mailbox = %s"
        " GROUP BY charged_day) AS each",
        addresses[4],
    )
    assert replies <= 4
    assert_ledger_is_the_messages(database)
    ((moved,),) = rows(database, "SELECT min(day) FROM warm_up")
    assert moved == 13 + 4, "days with warm-up mail are days with real mail"


@pytest.mark.parametrize("across", [False, True])
async def test_nobody_writes_outside_the_inventory_nor_across_clients_unless_it_says_so(
    database: str, days: FastDays, make_fleet: Fleet, across: bool
) -> None:
    acme, beta = make_fleet("acme", mailboxes=3), make_fleet("beta", mailboxes=3)
    set_warm_up(database, across_clients=across)
    begin_warming(database, *acme, *beta)
    await days.run(2 * DAY)
    mail = rows(database, MAIL)
    assert len(mail) > 20
    assert {row[3] for row in mail} <= {*acme, *beta}
    assert all(row[2] != row[3] for row in mail)
    assert {row[1] for row in mail} == {"acme", "beta"}
    mixed = [row for row in mail if (row[2] in acme) != (row[3] in acme)]
    assert bool(mixed) == across


async def test_a_client_with_one_mailbox_writes_to_nobody(
    database: str, days: FastDays, make_fleet: Fleet
) -> None:
    begin_warming(database, *make_fleet("acme", mailboxes=1, egresses=1))
    await days.run(DAY)
    assert rows(database, MAIL) == []


async def test_nothing_is_written_twice_by_two_controllers_nor_after_a_restart(
    store: Store, database: str, days: FastDays, make_fleet: Fleet
) -> None:
    begin_warming(database, *make_fleet("acme", mailboxes=4))
    for _ in range(24):
        # Both believe that they lead, and neither remembers anything.
        both = [WarmUpMail(store, lambda: days.now).run_cycle() for _ in range(2)]
        await asyncio.gather(*both)
        await days.step()
    before = [(row[0], row[5], row[6]) for row in rows(database, MAIL)]
    # A name changed, so what was written would be written in other words now.
    rows(database, "UPDATE mailbox SET display_name = display_name || ' Junior'")
    days.now -= timedelta(hours=6)
    for _ in range(12):
        await WarmUpMail(store, lambda: days.now).run_cycle()
        days.now += timedelta(minutes=30)
    after = [(row[0], row[5], row[6]) for row in rows(database, MAIL)]
    assert set(before) <= set(after)
    assert max(Counter((thread, position) for _, thread, position in after).values()) == 1
    assert rows(database, "SELECT count(*) FROM warm_up_mail AS w WHERE NOT done AND EXISTS"
                " (SELECT 1 FROM warm_up_mail AS r WHERE r.thread = w.thread"
                "  AND r.position = w.position + 1)") == [(0,)]  # fmt: skip


async def test_nobody_answers_what_did_not_arrive(
    database: str, days: FastDays, make_fleet: Fleet
) -> None:
    begin_warming(database, *make_fleet("acme", mailboxes=4))
    days.arrives = lambda _: False
    await days.run(2 * DAY)
    assert {row[6] for row in rows(database, MAIL)} == {0}
    assert rows(database, "SELECT count(*) FROM warm_up_mail WHERE NOT done")[0][0] <= 4
    assert rows(database, "SELECT day FROM warm_up") == [(1,)] * 4, "no day counted"


async def test_who_is_suspended_or_gets_no_mail_is_left_alone(
    database: str, days: FastDays, make_fleet: Fleet
) -> None:
    addresses = make_fleet("acme", mailboxes=6, egresses=2, domains=3)
    begin_warming(database, *addresses)
    rows(database, "INSERT INTO suspension (scope, subject, source, reason)"
                   " VALUES ('mailbox', %s, 'operator', 'x')", addresses[0])  # fmt: skip
    rows(database, "INSERT INTO mail_domain (domain, outcome) VALUES ('d1.acme.test', 'none')")
    await days.run(DAY)
    left = {row[2] for row in rows(database, MAIL)} | {row[3] for row in rows(database, MAIL)}
    assert left == {addresses[2], addresses[3], addresses[5]}


async def test_what_finds_no_slot_within_a_day_is_dropped_and_takes_nothing(
    database: str, days: FastDays, make_fleet: Fleet
) -> None:
    addresses = make_fleet("acme", mailboxes=4)
    begin_warming(database, *addresses)
    for _ in range(40):
        await WarmUpMail(days.store, lambda: days.now).run_cycle()
        days.now += timedelta(minutes=30)
    ((waiting,),) = rows(database, "SELECT count(*) FROM message WHERE state = 'accepted'")
    assert waiting == 4 * allowance(CURVE, 1)
    days.now += 2 * DAY
    await WarmUpMail(days.store, lambda: days.now).run_cycle()
    ended = rows(database, "SELECT state, reason FROM message WHERE state <> 'accepted'")
    assert ended == [("cancelled", "warm-up mail that found no slot within a day")] * waiting
    assert_ledger_is_the_messages(database)


async def test_only_the_controller_marks_mail_and_nothing_a_receiver_sees_differs(
    store: Store, database: str, days: FastDays, make_fleet: Fleet
) -> None:
    addresses = make_fleet("acme", mailboxes=4)
    begin_warming(database, *addresses[:2])
    ids = await submit(store, "acme", 3, addresses[3])
    await days.run(DAY)
    for id, lane, added in rows(
        database, "SELECT id, lane, added FROM message JOIN message_content ON id = message_id"
    ):
        assert lane == (0 if id in ids else WARM_UP)
        message = email.message_from_bytes(bytes(added))
        assert sorted(message.keys()) == ["Date", "Feedback-ID", "From", "List-Unsubscribe",
                                          "List-Unsubscribe-Post", "Message-ID"]  # fmt: skip
    for *_, content in rows(database, MAIL):
        assert b"warm" not in bytes(content).lower()


async def test_without_internal_and_mixed_days_nothing_is_written(
    database: str, days: FastDays, make_fleet: Fleet
) -> None:
    begin_warming(database, *make_fleet("acme", mailboxes=4))
    set_warm_up(database, internal_days=0, mixed_days=0)
    await days.run(DAY)
    assert rows(database, MAIL) == []


async def test_a_fleet_that_is_warm_costs_one_look(store: Store, make_fleet: Fleet) -> None:
    make_fleet("acme")
    said = await WarmUpMail(store, lambda: BEGIN).run_cycle()
    assert said == "no warm-up mail is due"
