"""On the first days of a warm-up a mailbox sends warm-up mail alone, and whoever asks hears why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from postfleet.v1 import fleet_pb2

from controller.fleet.why import explain
from controller.planner.cycle import Planner
from controller.store import Store
from controller.warm_up.write import WarmUpMail
from tests.controller.planner.planned import assert_ledger_is_the_messages, submit
from tests.controller.warm_up.fast_days import BEGIN, FastDays, begin_warming, rows, set_warm_up

DAY = timedelta(days=1)
NOON = BEGIN + timedelta(hours=6)
Fleet = Callable[..., list[str]]
CLIENTS_MAIL = "SELECT mailbox, state, reason FROM message WHERE lane = 0 ORDER BY id"


async def plan(store: Store) -> str:
    return await Planner(store, 500, lambda: NOON).run_cycle()


async def why(store: Store, kind: str, id_: str) -> fleet_pb2.WhyReply:
    return await explain(store, fleet_pb2.WhyRequest(kind=kind, id=id_))


async def test_clients_mail_goes_through_warm_mailboxes_of_the_same_client(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    addresses = make_fleet("acme", mailboxes=6, egresses=3)
    # By itself, and with its egress.
    begin_warming(database, addresses[0], day=14)
    rows(database, "UPDATE egress SET state = 'warming' WHERE id ="
                   " (SELECT egress_id FROM mailbox WHERE address = %s)", addresses[1])  # fmt: skip
    shared = {a for (a,) in rows(database, "SELECT address FROM mailbox WHERE egress_id ="
              " (SELECT egress_id FROM mailbox WHERE address = %s)", addresses[1])}  # fmt: skip
    begin_warming(database, addresses[2], day=15)
    await submit(store, "acme", 60)
    await plan(store)
    used = {mailbox for mailbox, state, _ in rows(database, CLIENTS_MAIL) if state == "scheduled"}
    assert used == set(addresses) - {addresses[0]} - shared
    assert addresses[2] in used, "day 15 is no internal day any more"
    assert_ledger_is_the_messages(database)


async def test_what_names_such_a_mailbox_waits_and_says_why(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    addresses = make_fleet("acme", mailboxes=3)
    begin_warming(database, addresses[0], day=3)
    (message,) = await submit(store, "acme", 1, addresses[0])
    await plan(store)
    words = f"{addresses[0]} is on day 3 of a warm-up: to day 14 it writes within the fleet"
    assert rows(database, CLIENTS_MAIL) == [(addresses[0], "accepted", words)]
    reply = await why(store, "message", message)
    assert reply.verdict == f"message {message} waits: internal days: {words}"
    of_mailbox = await why(store, "mailbox", addresses[0])
    (fact,) = [each for each in of_mailbox.facts if each.name == "internal days"]
    assert (fact.value, fact.binds) == (words, False)
    (waiting,) = [each for each in of_mailbox.facts if each.name == "waiting"]
    assert waiting.value == "no message waits for it", "it may not send what does"


async def test_what_names_none_waits_where_all_mailboxes_are_too_cold(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    addresses = make_fleet("acme", mailboxes=3)
    begin_warming(database, *addresses, day=2)
    (message,) = await submit(store, "acme", 1)
    said = await plan(store)
    assert "none of 3 mailboxes may send, 1 because:" in said
    assert "is on day 2 of a warm-up" in said
    reply = await why(store, "message", message)
    assert "waits: internal days: " in reply.verdict
    # As soon as one is through them it goes.
    rows(database, "UPDATE warm_up SET day = 15 WHERE subject = %s", addresses[1])
    await plan(store)
    assert rows(database, CLIENTS_MAIL) == [(addresses[1], "scheduled", "")]


async def test_warm_up_mail_passes_the_clients_mail_that_waits_for_the_same_mailbox(
    store: Store, database: str, days: FastDays, make_fleet: Fleet
) -> None:
    addresses = make_fleet("acme", mailboxes=3)
    begin_warming(database, *addresses[:2])
    ids = await submit(store, "acme", 300, addresses[0])
    await days.run(DAY)
    assert {state for _, state, _ in rows(database, CLIENTS_MAIL)} == {"accepted"}
    ((sent,),) = rows(database, "SELECT count(*) FROM message WHERE lane = -1 AND state = 'sent'"
                                " AND mailbox = %s", addresses[0])  # fmt: skip
    # What its curve lets it send; the last one may have found its slot behind midnight.
    assert sent >= 4
    assert len(ids) == 300


async def test_mail_waiting_for_cold_mailboxes_keeps_no_other_from_being_planned(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    addresses = make_fleet("acme", mailboxes=12, egresses=2)
    cold, warm = addresses[:10], addresses[10]
    begin_warming(database, *cold)
    for address in cold:
        await submit(store, "acme", 1, address)
    (message,) = await submit(store, "acme", 1, warm)
    # Fewer mailboxes are read in a round than the cold ones are.
    await Planner(store, 5, lambda: NOON).run_cycle()
    assert rows(database, "SELECT id FROM message WHERE state = 'scheduled'") == [(message,)]


async def test_warm_up_mail_of_a_mailbox_that_is_paused_waits_and_is_dropped(
    database: str, days: FastDays, make_fleet: Fleet
) -> None:
    addresses = make_fleet("acme", mailboxes=3)
    begin_warming(database, *addresses)
    await days.run(timedelta(hours=3))
    rows(database, "UPDATE mailbox SET state = 'paused' WHERE address = %s", addresses[0])
    before = rows(database, "SELECT count(*) FROM message WHERE mailbox = %s", addresses[0])
    ended = rows(database, "SELECT count(*) FROM message WHERE state = 'sent' AND mailbox = %s",
                 addresses[0])  # fmt: skip
    await days.run(2 * DAY)
    assert rows(database, "SELECT count(*) FROM message WHERE mailbox = %s",
                addresses[0]) == before  # fmt: skip
    assert rows(database, "SELECT count(*) FROM message WHERE state = 'sent' AND mailbox = %s",
                addresses[0]) == ended  # fmt: skip
    assert rows(database, "SELECT count(*) FROM message WHERE state = 'accepted' AND mailbox = %s",
                addresses[0]) == [(0,)]  # fmt: skip


@pytest.mark.parametrize("scope", ["client", "fleet"])
async def test_nobody_writes_to_a_suppressed_mailbox(
    database: str, days: FastDays, make_fleet: Fleet, scope: str
) -> None:
    addresses = make_fleet("acme", mailboxes=4)
    begin_warming(database, *addresses)
    client = "acme" if scope == "client" else ""
    rows(database, "INSERT INTO suppression (client_id, recipient, reason) VALUES (%s, %s, 'x')",
         client, addresses[0])  # fmt: skip
    await days.run(DAY)
    assert rows(database, "SELECT count(*) > 5 FROM message") == [(True,)]
    assert rows(database, "SELECT count(*) FROM message WHERE recipient = %s",
                addresses[0]) == [(0,)]  # fmt: skip


async def test_a_mailbox_with_nobody_to_write_to_says_so(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    (alone,) = make_fleet("acme", mailboxes=1, egresses=1)
    make_fleet("beta", mailboxes=1, egresses=1)
    begin_warming(database, alone)
    await WarmUpMail(store, lambda: NOON).run_cycle()
    reply = await why(store, "mailbox", alone)
    assert reply.verdict.endswith("and its client has no other mailbox to write with")
    set_warm_up(database, across_clients=True)
    reply = await why(store, "mailbox", alone)
    assert "no other mailbox" not in reply.verdict


@pytest.fixture
def days(store: Store, database: str) -> FastDays:
    return FastDays(store, database)
