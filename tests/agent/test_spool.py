"""The spool on disk: group commit, identity, outbox, and a disk that is full."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from node_agent.agent.config import SpoolSettings
from node_agent.agent.errors import DiskFullError, SpoolError
from node_agent.agent.lifecycle import Entry, Fact, FactKind, State
from node_agent.agent.spool.messages import SpooledMessage
from node_agent.agent.spool.spool import LogBatch, Spool
from tests.agent.samples import message_id

MIB = 1024 * 1024


def message(number: int) -> SpooledMessage:
    return SpooledMessage(
        message_id(number), "a@b.test", "c@d.test", "px001", 3, 0, 1, State.STORED
    )


def settings(directory: Path, **changes: int) -> SpoolSettings:
    return SpoolSettings.model_validate(
        {"directory": directory, "min_free_octets": 0, "reserve_octets": MIB, **changes}
    )


@asynccontextmanager
async def opened(made: SpoolSettings) -> AsyncIterator[Spool]:
    spool = Spool(made)
    await spool.start()
    try:
        yield spool
    finally:
        await spool.stop()


async def test_it_keeps_its_identity_and_its_messages(tmp_path: Path) -> None:
    async with opened(settings(tmp_path)) as spool:
        first = spool.spool_id
        assert await spool.store([(message(1), b"content")]) == [message(1)]
        assert await spool.store([(message(1), b"other")]) == []
    async with opened(settings(tmp_path)) as spool:
        assert spool.spool_id == first
        ((marked, content),) = await spool.mark_handing([message_id(1), message_id(2)])
        assert (marked.epoch, content) == (3, b"content")
        assert await spool.mark_handing([message_id(1)]) == []
    assert stat.S_IMODE((tmp_path / "spool.db").stat().st_mode) == 0o600


async def test_callers_share_a_transaction_and_a_failure_is_its_callers_alone(
    tmp_path: Path,
) -> None:
    async with opened(settings(tmp_path)) as spool:
        before = spool.commits

        def fail(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM meta")
            raise ZeroDivisionError

        outcomes = await asyncio.gather(
            *(spool.store([(message(n), b"x")]) for n in range(40)),
            spool._thread.run(fail),
            *(spool.store([(message(n), b"x")]) for n in range(40, 80)),
            return_exceptions=True,
        )
        assert [type(o) for o in outcomes].count(ZeroDivisionError) == 1
        assert len(await spool.in_states(State.STORED)) == 80
        assert spool.spool_id
        assert await spool.event_bounds() == (0, 0)
        assert spool.commits - before < 20


async def test_numbers_have_no_holes_and_go_on_after_everything_was_acknowledged(
    tmp_path: Path,
) -> None:
    async with opened(settings(tmp_path)) as spool:
        for n in range(3):
            await spool.store([(message(n), b"x")])
            await spool.learn([(message_id(n), Fact(FactKind.TAKEN_BACK, 0))])
        assert [e.seq for e in await spool.events_after(0)] == [1, 2, 3]
        assert await spool.acknowledge(2) == 2
        assert await spool.acknowledge(1) == 2
        assert await spool.acknowledge(99) == 2
        assert await spool.acknowledge(3) == 3
        await spool.store([(message(9), b"x")])
        await spool.learn([(message_id(9), Fact(FactKind.TAKEN_BACK, 0))])
        (event,) = await spool.events_after(0)
        assert (event.seq, event.epoch) == (4, 3)


async def test_the_log_and_its_position_are_one(tmp_path: Path) -> None:
    async with opened(settings(tmp_path)) as spool:
        await spool.store([(message(1), b"x")])
        await spool.mark_handing([message_id(1)])
        seen = Fact(FactKind.SEEN, 0, "Q1", log_line="active")
        sent = Fact(FactKind.SENT, 0, "Q1", dsn="2.0.0", log_line="sent")
        learned = await spool.learn_from_log(
            LogBatch(
                [
                    Entry(message_id(1), "Q1", seen),
                    Entry(None, "Q1", sent),
                    Entry(None, "Q7", sent),
                    Entry(message_id(5), "Q8", seen),
                ],
                {"offset": 9},
            )
        )
        assert [x.step.state for x in learned] == [State.QUEUED, State.SENT]
        assert await spool.log_position() == {"offset": 9}


async def test_what_is_in_flight_is_known_by_egress(tmp_path: Path) -> None:
    async with opened(settings(tmp_path)) as spool:
        for n in (1, 2):
            await spool.store([(message(n), b"x")])
            await spool.mark_handing([message_id(n)])
        batch = [
            Entry(message_id(n), f"Q{n}", Fact(FactKind.SEEN, 0, f"Q{n}", log_line="x"))
            for n in (1, 2)
        ]
        batch.append(Entry(None, "Q1", Fact(FactKind.DEFERRED, 0, "Q1")))
        await spool.learn_from_log(LogBatch(batch, None))
        assert await spool.in_flight() == {"Q2": message_id(2)}
        died = Entry(None, "", Fact(FactKind.UNCERTAIN, 0), "px001")
        (learned,) = await spool.learn_from_log(LogBatch([died], None))
        assert (learned.message_id, learned.fact.queue_id) == (message_id(2), "Q2")
        assert learned.step.hold
        assert await spool.not_held() == [(message_id(2), "Q2")]
        await spool.mark_held([message_id(2)])
        assert await spool.not_held() == []


async def test_final_messages_are_remembered_for_a_while(tmp_path: Path) -> None:
    async with opened(settings(tmp_path)) as spool:
        await spool.store([(message(1), b"x")])
        await spool.mark_handing([message_id(1)])
        await spool.learn([(message_id(1), Fact(FactKind.ACCEPTED, 0, "Q1"))])
        await spool.learn([(message_id(1), Fact(FactKind.SENT, 0, "Q1"))])
        assert await spool.store([(message(1), b"x")]) == []
        assert await spool.forget_final(0) == 0
        assert await spool.forget_final(1 << 60) == 1


async def test_a_damaged_spool_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(SpoolError, match="must be looked at by a person"):
        await Spool(settings(tmp_path)).start()
    assert (tmp_path / "spool.db").read_bytes().startswith(b"this is")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An ext4 of 24 MiB."""
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(24 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


async def fill_with_messages(spool: Spool) -> int:
    """Store until it is refused; how many were stored."""
    stored = 0
    try:
        while True:
            await spool.store([(message(stored), b"x" * 100_000)])
            stored += 1
    except DiskFullError:
        return stored


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 512)


@pytest.mark.root
async def test_a_full_disk_refuses_new_work_and_records_every_outcome(small_disk: Path) -> None:
    made = settings(small_disk, reserve_octets=4 * MIB)
    async with opened(made) as spool:
        stored = await fill_with_messages(spool)
        filler = small_disk / "filler"
        fill(filler)
        with pytest.raises(DiskFullError):
            await spool.store([(message(10_000), b"x")])
        for n in range(stored):
            await spool.mark_handing([message_id(n)])
            queue_id = f"Q{n}"
            line = "l" * 3000
            await spool.learn([(message_id(n), Fact(FactKind.ACCEPTED, 0, queue_id))])
            await spool.learn([(message_id(n), Fact(FactKind.SENT, 0, queue_id, log_line=line))])
        assert await spool.counts() == {}
        assert await spool.event_bounds() == (0, 2 * stored)
        with pytest.raises(DiskFullError):
            await spool.store([(message(10_000), b"x")])
        filler.unlink()
        await spool.compact()
        await spool.store([(message(10_000), b"x")])
        assert len(await spool.in_states(State.STORED)) == 1


async def test_no_question_reads_through_all_messages(tmp_path: Path) -> None:
    """With weeks of remembered messages, a scan for each line of the log would stop the node."""
    asked: set[str] = set()
    async with opened(settings(tmp_path)) as spool:
        await spool._thread.run(lambda db: db.set_trace_callback(asked.add))
        await spool.store([(message(1), b"x")])
        await spool.mark_handing([message_id(1)])
        seen = Entry(message_id(1), "Q1", Fact(FactKind.SEEN, 0, "Q1", log_line="x"))
        died = Entry(None, "", Fact(FactKind.UNCERTAIN, 0), "px001")
        sent = Entry(None, "Q1", Fact(FactKind.SENT, 0, "Q1"))
        await spool.learn_from_log(LogBatch([seen, died, sent], None))
        for state in State:
            await spool.in_states(state)
        await spool.not_held()
        await spool.in_flight()
        await spool.counts()
        await spool.forget_final(0)
        await spool.known({message_id(1): 1})

        def plans(db: sqlite3.Connection) -> list[str]:
            db.set_trace_callback(None)
            questions = [q for q in asked if q.startswith(("SELECT", "UPDATE", "DELETE"))]
            return [r[3] for q in questions for r in db.execute(f"EXPLAIN QUERY PLAN {q}")]

        details = await spool._thread.run(plans)
    assert any("message_by_queue_id" in d for d in details)
    assert [d for d in details if d == "SCAN message"] == []
