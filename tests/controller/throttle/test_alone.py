"""Recorders, dispatchers and recovery change the same pairs at once: nobody waits crosswise.

PostgreSQL would end a deadlock after a second and the store would do the work again; in a fleet in
trouble, where all of this happens all the time, that is a controller that stands still.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from postfleet.v1 import node_pb2

from controller.events.recorder import Recorder
from controller.events.report import Report
from controller.loops.dispatch import Dispatcher
from controller.store import Store
from controller.throttle.breaker import RUN
from controller.throttle.recovery import Recovery
from controller.throttle.trials import choose_trials
from tests.controller.loops.test_dispatch import Scene as DispatchScene
from tests.controller.small_fleet import sql
from tests.controller.throttle.test_follow import LISTENER, Scene

REFUSED = "550 5.7.1 we do not want this"
PROVIDERS = ("google", "microsoft", "yahoo")
MAILBOXES = ("m1-1", "m2-1", "m3-1")
PLACES = list(itertools.product(MAILBOXES, PROVIDERS))


class Trouble(DispatchScene):
    """Three egresses at three providers, and mail of each of the nine kinds that waits."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.word = Scene(store)
        self._number = itertools.count()

    async def waiting(self, each: int) -> None:
        """So many more of each kind wait for dispatch."""
        ids = []
        for mailbox, provider in PLACES * each:
            ids.append(f"{next(self._number)}-{mailbox}-{provider}")
            await self.scheduled(ids[-1], f"{mailbox}@acme.test")
        await self._receivers(ids)

    async def under_way(self, each: int) -> list[str]:
        """So many of each kind are in the node's queue."""
        ids = []
        for mailbox, provider in PLACES * each:
            ids.append(f"{next(self._number)}-{mailbox}-{provider}")
            await self.word.message(ids[-1], f"px{mailbox[1]}", provider)
        await self._receivers(ids)
        return ids

    async def _receivers(self, ids: Sequence[str]) -> None:
        await self.store.execute(
            sql("UPDATE message SET provider = split_part(id, '-', 4),"
                " receiver = split_part(id, '-', 4) WHERE id = ANY(%(ids)s)"), ids=list(ids),
        )  # fmt: skip

    def reports(self, ids: Sequence[str], taken: float, random: random.Random) -> list[Report]:
        """What became of these, one report for each."""
        return [
            Report.of("n1", node_pb2.EventReport(spool_id="s", events=[self.word.event(
                id, *(("250 ok", "SENT") if random.random() < taken else (REFUSED, "BOUNCED"))
            )]), time.monotonic())
            for id in ids
        ]  # fmt: skip

    async def pauses_pass(self) -> None:
        for table in ("breaker", "suspension"):
            await self.store.execute(sql(f"UPDATE {table} SET until = now() - interval '1 s'"))


@pytest.fixture
async def trouble(store: Store, tmp_path: Path) -> Trouble:
    trouble = Trouble(store)
    await store.execute(
        sql("ALTER TABLE message_content DROP CONSTRAINT message_content_message_id_fkey")
    )
    await trouble.prepare(tmp_path)
    return trouble


@pytest.fixture
async def other(database: str) -> AsyncIterator[Store]:
    """Another controller's connections."""
    async with Store.open(database) as store:
        yield store


async def open_all(trouble: Trouble) -> None:
    """All breakers are open, and may be tried."""
    ids = await trouble.under_way(RUN)
    await Recorder(trouble.store, LISTENER).store(trouble.reports(ids, 0, random.Random(1)))
    await trouble.pauses_pass()


async def test_nothing_that_happens_at_once_is_a_deadlock(trouble: Trouble, other: Store) -> None:
    dice = random.Random(7)
    recorders = Recorder(trouble.store, LISTENER), Recorder(other, LISTENER)
    dispatchers = trouble.dispatcher, Dispatcher(other, trouble.current, trouble.registry)
    recoveries = Recovery(trouble.store), Recovery(other)
    await open_all(trouble)
    tried = 0
    for _ in range(12):
        await trouble.waiting(1)
        ids = await trouble.under_way(4)
        dice.shuffle(ids)
        reports = trouble.reports(ids, 0.3, dice)
        before = len(trouble.session.outstanding)
        work = [
            *(recorders[n % 2].store(reports[n * 6 : n * 6 + 6]) for n in range(6)),
            *(dispatcher.run_cycle() for dispatcher in dispatchers * 4),
            *(recovery.run_cycle() for recovery in recoveries * 2),
        ]
        dice.shuffle(work)
        await asyncio.gather(*work)
        tried += len(trouble.session.outstanding) - before
        await trouble.pauses_pass()
    deadlocks = sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert await trouble.store.fetch_value(deadlocks) == 0
    assert tried, "the dispatchers found something to try"


async def test_a_breaker_that_is_being_changed_is_tried_later_and_others_now(
    trouble: Trouble, other: Store
) -> None:
    await trouble.waiting(1)
    await open_all(trouble)
    busy = sql("SELECT 1 FROM breaker WHERE subject = 'px2' AND provider = 'yahoo' FOR UPDATE")
    async with other.transaction() as recording:
        await recording.fetch_all(busy)
        async with asyncio.timeout(10), trouble.store.transaction() as tx:
            trials = await choose_trials(tx, 60)
    tried = {(row["provider"], row["subject"]) for rows in trials.values() for row in rows}
    assert tried
    assert ("yahoo", "px2") not in tried
    assert not any(id.endswith("m2-1-yahoo") for id in trials)
