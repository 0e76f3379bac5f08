"""Retention against a real database: what ended long ago goes, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.intake.check import Submission
from controller.intake.ingest import Taken, ingest
from controller.keys.sealing import open_sealer
from controller.loops.retention import Retention
from controller.message_life import FINAL, State
from controller.store import Store
from tests.controller.campaigns import scene as campaign
from tests.controller.small_fleet import apply, small_inventory, sql

pytestmark = pytest.mark.postgres
CONTENT = b"From: m1-1@acme.test\r\nSubject: s\r\n\r\nbody\r\n"
TABLES = ("message", "message_content", "submission", "event", "feedback")


@pytest.fixture
async def fleet(store: Store, tmp_path: Path) -> Store:
    """Keeps contents for 30 days, messages for 400."""
    inventory = small_inventory(retention={"content_days": 30, "message_days": 400})
    await apply(store, open_sealer(tmp_path), inventory)
    return store


async def mail(store: Store, key: str) -> str:
    """Submits a message; gives its id."""
    [taken] = await ingest(store, [Submission(key, "acme", "", "r@x.test", None, CONTENT)])
    assert isinstance(taken, Taken)
    return taken.message_id


async def end(store: Store, id: str, state: str, after_days: float = 0) -> None:
    """It is in this state, at that time from now, with an event and feedback to it."""
    for text in (
        "UPDATE message SET state = %(state)s,"
        " final_at = now() + make_interval(days => 1) * %(days)s WHERE id = %(id)s",
        "INSERT INTO event (spool_id, seq, message_id, node_id, kind, at, queue_id, egress_id,"
        " dsn, relay, reason, gateway_stage, log_line)"
        " VALUES (%(id)s, 1, %(id)s, 'n1', 'sent', now(), '', '', '', '', '', '', '')",
        "INSERT INTO feedback (message_id, kind, client_id, at, told_by)"
        " VALUES (%(id)s, 'reply', 'acme', now(), 'ann')",
    ):
        await store.execute(sql(text), id=id, state=state, days=after_days)


async def look(store: Store, in_days: float, batch: int = 1000) -> Retention:
    """Retention goes through everything, as if so many days had passed."""
    moment = datetime.now(UTC) + timedelta(days=in_days)
    retention = Retention(store, lambda: moment, batch=batch)
    while await retention.run_cycle() != "rests":
        pass
    return retention


async def left(store: Store, table: str) -> set[str]:
    """The messages of which the table has something."""
    column = "id" if table == "message" else "message_id"
    return {row["id"] for row in await store.fetch_all(sql(f"SELECT {column} AS id FROM {table}"))}


async def test_what_ended_loses_its_content_first_then_all_of_it_and_its_key_is_free(
    fleet: Store,
) -> None:
    ended = {state: await mail(fleet, state) for state in FINAL}
    for state, id in ended.items():
        await end(fleet, id, state)
    await look(fleet, 29.9)
    for table in TABLES:
        assert await left(fleet, table) == set(ended.values()), table
    await look(fleet, 30.1)
    assert await left(fleet, "message_content") == set()
    await look(fleet, 399.9)
    for table in set(TABLES) - {"message_content"}:
        assert await left(fleet, table) == set(ended.values()), table
    assert await mail(fleet, "sent") == ended[State.SENT], "a key is known as long as its message"
    await look(fleet, 400.1)
    for table in TABLES:
        assert await left(fleet, table) == set(), table
    assert await mail(fleet, "sent") != ended[State.SENT]


@pytest.mark.parametrize("state", sorted(set(State) - FINAL))
async def test_what_has_not_ended_is_kept_for_ever(fleet: Store, state: str) -> None:
    id = await mail(fleet, state)
    await end(fleet, id, state)
    await look(fleet, 5000)
    for table in TABLES:
        assert await left(fleet, table) == {id}, table


async def test_it_counts_from_the_end_not_from_the_beginning(fleet: Store) -> None:
    id = await mail(fleet, "late")
    await end(fleet, id, "sent", after_days=100)
    await look(fleet, 129.9)
    assert await left(fleet, "message_content") == {id}
    await look(fleet, 130.1)
    assert await left(fleet, "message_content") == set()
    await look(fleet, 499.9)
    assert await left(fleet, "message") == {id}
    await look(fleet, 500.1)
    assert await left(fleet, "message") == set()


async def test_more_than_a_batch_and_what_lies_between_is_gone_through_once(fleet: Store) -> None:
    ids = [await mail(fleet, str(n)) for n in range(12)]
    kept = {ids[n] for n in (0, 4, 5, 11)}
    for id in ids:
        await end(fleet, id, "uncertain" if id in kept else "sent")
    await look(fleet, 401, batch=3)
    for table in TABLES:
        assert await left(fleet, table) == kept, table


async def test_it_rests_for_an_hour_when_it_is_through(fleet: Store) -> None:
    time_s = [100.0]
    retention = Retention(fleet, clock=lambda: time_s[0])
    assert await retention.run_cycle() == "forgot 0 contents and 0 messages"
    time_s[0] += 3599
    assert await retention.run_cycle() == "rests"
    time_s[0] += 2
    assert await retention.run_cycle() != "rests"


async def test_the_thread_of_a_recipient_whom_a_follow_up_waits_for_is_kept(
    fleet: Store, database: str
) -> None:
    await campaign.start(fleet, ["ann@x.test", "bob@x.test"])
    waits, through = campaign.end(database, "sent", "ann%"), campaign.end(database, "sent", "bob%")
    await fleet.execute(
        sql("UPDATE campaign_recipient SET state = 'stopped' WHERE recipient = 'bob@x.test'")
    )
    await look(fleet, 5000)
    assert await left(fleet, "message") == {*waits, *through}, "the campaign has not looked yet"
    await fleet.execute(sql("UPDATE message SET awaited = false"))
    await look(fleet, 5000)
    assert await left(fleet, "message") == await left(fleet, "message_content") == set(waits)


async def test_a_campaign_started_again_after_its_mail_is_forgotten_mails_nobody_twice(
    fleet: Store, database: str
) -> None:
    await campaign.start(fleet, ["ann@x.test"])
    campaign.end(database, "sent")
    await fleet.execute(sql("UPDATE message SET awaited = false"))
    await fleet.execute(sql("UPDATE campaign_recipient SET state = 'done'"))
    await look(fleet, 5000)
    assert await left(fleet, "submission") == set()
    await campaign.start(fleet, ["ann@x.test"])
    assert await left(fleet, "message") == set()
