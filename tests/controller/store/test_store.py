"""The store's own promises: transactions, translation of errors, notices, locks."""

from __future__ import annotations

import asyncio
import contextlib
import re
from datetime import UTC, date, datetime
from ipaddress import IPv4Address

import psycopg
import pytest

from controller.store import Store, Transaction, queries
from controller.store.errors import (
    DuplicateRow,
    MissingReference,
    NotOneRow,
    QueryFailed,
    QueryFileInvalid,
    RowRefused,
    StoreUnavailable,
    TransactionConflict,
)
from controller.store.queries import Query, parse

DAY = date(2026, 11, 21)
# PREPARE takes these; other statements (LOCK) are run, in a transaction that is undone.
PREPARABLE = re.compile(r"(SELECT|INSERT|UPDATE|DELETE|WITH|VALUES)\b")


def query(sql: str) -> Query:
    return Query("test", "inline", "inline", sql, ())


INSERT_CLIENT = query(
    "INSERT INTO client (id, name, unsubscribe_url, unsubscribe_mailto)"
    " VALUES (%(id)s, 'n', 'https://x.test/', 'u@x.test')"
)
COUNT_CLIENTS = query("SELECT count(*) FROM client")


async def test_a_transaction_commits_when_its_block_ends(store: Store) -> None:
    async with store.transaction() as tx:
        assert await tx.execute(INSERT_CLIENT, id="acme") == 1
    assert await store.fetch_value(COUNT_CLIENTS) == 1


async def test_an_exception_undoes_the_transaction(store: Store) -> None:
    async def work(tx: Transaction) -> None:
        await tx.execute(INSERT_CLIENT, id="acme")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.run(work)
    assert await store.fetch_value(COUNT_CLIENTS) == 0


async def test_values_come_back_as_they_went(store: Store) -> None:
    now = datetime.now(UTC)
    row = await store.fetch_one(
        query("SELECT %(j)s::jsonb AS j, %(a)s::inet AS a, %(t)s::timestamptz AS t, %(b)s AS b"),
        j={"a": [1, None, "\u00fc"]},
        a=IPv4Address("198.51.100.1"),
        t=now,
        b=b"\x00\xff",
    )
    assert row == {
        "j": {"a": [1, None, "\u00fc"]},
        "a": IPv4Address("198.51.100.1"),
        "t": now,
        "b": b"\x00\xff",
    }


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("INSERT INTO domain VALUES ('d.test', 'nobody', 's', 'none')", MissingReference),
        ("INSERT INTO ledger VALUES ('mailbox', 'a@b.test', '2026-01-01', -1)", RowRefused),
        ("SELECT bananas", QueryFailed),
        ("SELECT pg_terminate_backend(pg_backend_pid())", StoreUnavailable),
    ],
)
async def test_the_drivers_errors_are_translated(
    store: Store, sql: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await store.execute(query(sql))
    assert await store.fetch_value(query("SELECT 1")) == 1


async def test_a_duplicate_says_which_constraint_it_breaks(store: Store) -> None:
    await store.execute(INSERT_CLIENT, id="acme")
    with pytest.raises(DuplicateRow) as refused:
        await store.execute(INSERT_CLIENT, id="acme")
    assert refused.value.constraint == "client_pkey"


async def test_a_query_for_one_row_refuses_none_and_several(store: Store) -> None:
    with pytest.raises(NotOneRow):
        await store.fetch_one(query("SELECT 1 WHERE false"))
    with pytest.raises(NotOneRow):
        await store.fetch_optional(query("SELECT generate_series(1, 2)"))


async def test_run_does_the_work_again_after_a_conflict(store: Store) -> None:
    tries = 0

    async def work(_: object) -> str:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise TransactionConflict("made up")
        return "done"

    assert await store.run(work) == "done"
    assert tries == 3


async def test_a_deadlock_is_a_conflict_and_run_gets_through(store: Store) -> None:
    for name in ("a", "b"):
        await store.execute(INSERT_CLIENT, id=name)
    meet = asyncio.Barrier(2)
    first = True
    touch = query("UPDATE client SET name = name || '.' WHERE id = %(id)s")

    async def both(one: str, two: str) -> None:
        nonlocal first

        async def work(tx: Transaction) -> None:
            await tx.execute(touch, id=one)
            if first:
                await meet.wait()
            await tx.execute(touch, id=two)

        try:
            await store.run(work)
        finally:
            first = False

    await asyncio.wait_for(asyncio.gather(both("a", "b"), both("b", "a")), 30)
    names = await store.fetch_all(query("SELECT name FROM client"))
    assert [row["name"] for row in names] == ["n..", "n.."]


async def test_a_listener_hears_what_was_committed_and_learns_of_reconnections(
    store: Store, database: str
) -> None:
    notices = store.listen("planner")
    assert (await anext(notices)).channel == ""
    async with store.transaction() as tx:
        await tx.notify("planner", "acme")
    heard = await asyncio.wait_for(anext(notices), 10)
    assert (heard.channel, heard.payload) == ("planner", "acme")
    await store.execute(
        query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND query NOT LIKE '%%COMMIT%%'"
        )
    )
    assert (await asyncio.wait_for(anext(notices), 10)).channel == ""
    await notices.aclose()  # type: ignore[attr-defined]


async def test_an_advisory_lock_has_one_holder_and_goes_with_its_connection(
    store: Store, database: str
) -> None:
    async with store.advisory_lock("loops") as one, store.advisory_lock("loops") as two:
        assert await one.try_acquire()
        assert await one.try_acquire()
        assert not await two.try_acquire()
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            )
        assert not await one.still_held()
        assert await two.try_acquire()


async def test_a_cancellation_swallowed_within_a_transaction_is_raised_at_its_end(
    store: Store,
) -> None:
    inside, went_on = asyncio.Event(), False

    async def work() -> None:
        nonlocal went_on
        async with store.transaction() as tx:
            await tx.fetch_value(COUNT_CLIENTS)
            inside.set()
            with contextlib.suppress(asyncio.CancelledError):  # as the driver does now and then
                await asyncio.sleep(3600)
        went_on = True

    task = asyncio.create_task(work())
    await inside.wait()
    task.cancel()
    await asyncio.wait([task], timeout=30)
    assert task.cancelled()
    assert not went_on


async def test_a_cancelled_task_leaves_nothing_behind(store: Store) -> None:
    async def work(tx: Transaction) -> None:
        await tx.execute(INSERT_CLIENT, id="acme")
        await tx.execute(query("SELECT pg_sleep(60)"))

    task = asyncio.create_task(store.run(work))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.fetch_value(COUNT_CLIENTS) == 0
    busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(60)%%'"
    idle = f"{busy} AND state <> 'idle' AND pid <> pg_backend_pid()"
    assert await store.fetch_value(query(idle)) == 0


async def test_copy_in_takes_text_and_binary(store: Store) -> None:
    rows = [("mailbox", f"{n}@b.test", DAY, n) for n in range(100)]
    columns = ("scope", "subject", "day", "used")
    async with store.transaction() as tx:
        await tx.copy_in("ledger", columns, rows[:50])
        await tx.copy_in("ledger", columns, rows[50:], ("text", "text", "date", "int4"))
    total = await store.fetch_value(query("SELECT sum(used) FROM ledger"))
    assert total == sum(range(100))


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable):
        async with Store.open("host=/nonexistent dbname=x", wait_s=0.3):
            raise AssertionError


@pytest.mark.parametrize("area", queries.areas())
def test_every_query_fits_the_schema(database: str, area: str) -> None:
    with psycopg.connect(database) as connection:
        for q in queries.load(area).values():
            text = q.sql
            for number, name in enumerate(q.parameters, start=1):
                text = re.sub(rf"%\({name}\)[sb]", f"${number}", text)
            assert not re.search(r"%(?!%)", text.replace("%%", "")), f"{q}: a lone percent sign"
            text = text.replace("%%", "%")
            try:
                if PREPARABLE.match(text):
                    connection.execute(f"PREPARE q AS {text}")
                    connection.execute("DEALLOCATE q")
                else:
                    connection.execute(text)
            except psycopg.Error as error:
                pytest.fail(f"{q}: {error}")


@pytest.mark.parametrize(
    "text",
    ["", "SELECT 1", "-- a --\nSELECT 1", "-- a --\n-- words\n",
     "-- a --\n-- w\nSELECT 1\n-- a --\n-- w\nSELECT 2"],
)  # fmt: skip
def test_a_query_file_without_names_descriptions_or_statements_is_refused(text: str) -> None:
    with pytest.raises(QueryFileInvalid):
        parse("bad", text)


def test_a_query_file_gives_names_descriptions_and_parameters() -> None:
    found = parse("x", "-- one --\n-- Says\n-- more.\nSELECT %(b)s, %(a)s, %(b)s;\n")
    assert found["one"].description == "Says more."
    assert found["one"].parameters == ("b", "a")
    assert found["one"].sql.endswith("%(b)s")


def test_an_unknown_area_names_those_that_exist() -> None:
    with pytest.raises(QueryFileInvalid, match="ledger"):
        queries.load("bananas")
