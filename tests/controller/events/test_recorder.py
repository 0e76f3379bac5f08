"""Reports of many nodes at once: stored together, refused alone, never twice, never half."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence

import pytest
from postfleet.v1 import node_pb2

from controller.events.recorder import Recorder
from controller.events.report import Report
from controller.providers.table import open_table
from controller.shaping.book import open_book
from controller.store import Store
from controller.store.errors import QueryFailed, StoreUnavailable
from controller.throttle.heard import Listener
from tests.controller.small_fleet import sql

TABLE = open_table()
LISTENER = Listener(open_book(None, TABLE.names), TABLE)
NODES = [f"n{number}" for number in range(6)]
EACH = 10


@pytest.fixture
async def fleet(store: Store, make_fleet: object) -> Store:
    """Six nodes with ten queued messages each."""
    make_fleet("acme", mailboxes=1, egresses=1)  # type: ignore[operator]
    await store.execute(
        sql("INSERT INTO message (id, client_id, mailbox, egress_id,"
            " recipient, not_before, state, node_id, epoch, size)"
            " SELECT n || '-' || i, 'acme', 'm000@d0.acme.test', 'acme-e0',"
            " 'r@x.test', now(), 'queued', n, 1, 1"
            " FROM unnest(%(nodes)s::text[]) AS n, generate_series(1, %(each)s) AS i"),
        nodes=NODES, each=EACH,
    )  # fmt: skip
    return store


def sent(node_id: str, numbers: Sequence[int], spool: str = "") -> Report:
    """The node's messages of these numbers went out; event numbers are theirs."""
    report = node_pb2.EventReport(spool_id=spool or f"spool-{node_id}")
    for number in numbers:
        event = report.events.add(
            seq=number, message_id=f"{node_id}-{number}", kind=node_pb2.EVENT_KIND_SENT
        )
        event.at.GetCurrentTime()
    return Report.of(node_id, report, time.monotonic())


async def states(store: Store, node_id: str = "%") -> dict[str, int]:
    rows = await store.fetch_all(
        sql("SELECT state, count(*) FROM message WHERE node_id LIKE %(id)s GROUP BY state"),
        id=node_id,
    )
    return {row["state"]: row["count"] for row in rows}


async def stored(store: Store) -> int:
    count: int = await store.fetch_value(sql("SELECT count(*) FROM event"))
    return count


async def test_reports_of_one_moment_are_one_transaction(fleet: Store) -> None:
    recorder = Recorder(fleet, LISTENER)
    await recorder.store([sent("n0", [1])])
    before = await fleet.fetch_value(sql("SELECT count(DISTINCT xmin::text) FROM event"))
    new = await asyncio.gather(*(recorder.store([sent(n, range(2, 6))]) for n in NODES))
    assert [[event.seq for event in events] for events in new] == [[2, 3, 4, 5]] * 6
    after = await fleet.fetch_value(sql("SELECT count(DISTINCT xmin::text) FROM event"))
    assert after == before + 1
    assert await states(fleet) == {"sent": 25, "queued": 35}


@pytest.mark.parametrize("flaw", ["number", "time"])
async def test_a_report_that_cannot_be_stored_is_refused_and_harms_no_other(
    fleet: Store, flaw: str
) -> None:
    recorder = Recorder(fleet, LISTENER)
    bad = node_pb2.EventReport(spool_id="bad")
    event = bad.events.add(seq=1, message_id="n3-1", kind=node_pb2.EVENT_KIND_SENT)
    if flaw == "number":
        event.seq = 2**64 - 1
    else:
        event.at.seconds = 2**50
    asked = [[sent(n, range(1, 5))] for n in NODES]
    asked[3].append(Report.of("n3", bad, time.monotonic()))
    answers = await asyncio.gather(*map(recorder.store, asked), return_exceptions=True)
    assert isinstance(answers.pop(3), QueryFailed if flaw == "number" else Exception)
    assert [len(events) for events in answers if isinstance(events, list)] == [4] * 5
    assert await states(fleet, "n3") == {"queued": 10}
    assert await stored(fleet) == 20
    assert len(await recorder.store(asked[3][:1])) == 4


async def test_a_batch_whose_connection_dies_leaves_nothing_and_is_stored_once_when_repeated(
    fleet: Store,
) -> None:
    recorder = Recorder(fleet, LISTENER)
    asked = [[sent(n, range(1, 5))] for n in NODES]
    async with fleet.transaction() as tx:
        await tx.fetch_all(sql("SELECT 1 FROM message WHERE id = 'n5-4' FOR UPDATE"))
        tasks = [asyncio.create_task(recorder.store(reports)) for reports in asked]
        waiting = sql("SELECT count(*) FROM pg_locks WHERE NOT granted")
        async with asyncio.timeout(30):
            while not await fleet.fetch_value(waiting):
                await asyncio.sleep(0.02)
        await fleet.fetch_all(
            sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
        )
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    # The first report came alone; what was asked for meanwhile is stored when the row is free.
    told = [type(answer) for answer in answers]
    assert StoreUnavailable in told
    assert set(told) <= {StoreUnavailable, list}
    again = await asyncio.gather(*map(recorder.store, asked))
    for answer, events in zip(answers, again, strict=True):
        assert len(events) == (0 if isinstance(answer, list) else 4)
    assert await stored(fleet) == 24
    assert await states(fleet) == {"sent": 24, "queued": 36}


async def test_numbers_may_come_in_any_order_and_again(fleet: Store) -> None:
    recorder = Recorder(fleet, LISTENER)
    dice = random.Random(3)
    seen: list[int] = []
    for _ in range(20):
        numbers = sorted(dice.sample(range(1, EACH + 1), 4))
        new = await recorder.store([sent("n0", numbers), sent("n0", numbers[1:])])
        seen += [event.seq for event in new]
    assert sorted(seen) == sorted(set(seen))
    assert await states(fleet, "n0") == {"sent": len(seen)} | (
        {"queued": EACH - len(seen)} if len(seen) < EACH else {}
    )


@pytest.fixture
async def other(database: str) -> AsyncIterator[Store]:
    """Another controller's connections."""
    async with Store.open(database) as store:
        yield store


async def test_two_controllers_that_store_the_same_messages_crosswise_never_deadlock(
    fleet: Store, other: Store
) -> None:
    dice = random.Random(5)
    first, second = Recorder(fleet, LISTENER), Recorder(other, LISTENER)
    for _ in range(30):
        order = [*NODES]
        dice.shuffle(order)
        halves = []
        for recorder, nodes in ((first, order), (second, order[::-1])):
            for node_id in nodes:
                numbers = dice.sample(range(1, EACH + 1), 6)
                halves.append(recorder.store([sent(node_id, sorted(numbers))]))
        await asyncio.gather(*halves)
    assert await states(fleet) == {"sent": 60}
    assert await stored(fleet) == 60
    deadlocks = sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert await fleet.fetch_value(deadlocks) == 0
