"""What is gathered: every item once, in order, its own answer, whoever else is in the batch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.store import Gatherer
from controller.store.errors import QueryFailed, StoreUnavailable


class Work:
    """A database that refuses whole batches because of some of their items."""

    def __init__(self, bad: frozenset[int] = frozenset()) -> None:
        self.bad = bad
        self.batches: list[list[int]] = []
        self.committed: list[int] = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        await self.open.wait()
        found = self.bad & set(items)
        if found:
            raise QueryFailed(f"{min(found)} is bad")
        self.committed += items
        return [item * 10 for item in items]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(1, 4)), max_size=30),
    st.integers(1, 6),
)
def test_each_gets_its_own_answer_and_a_bad_one_harms_nobody_else(
    asked: list[tuple[int, bool, int]], most: int
) -> None:
    """`asked`: after how many turns of the loop, whether it is bad, its weight."""

    async def scene() -> None:
        bad = frozenset(n for n, (_, is_bad, _) in enumerate(asked) if is_bad)
        work = Work(bad)
        gatherer = Gatherer(work, most=most, weigh=lambda n: asked[n][2])

        async def ask(number: int) -> int:
            return await gatherer.do(number)

        tasks = []
        for number, (turns, _, _) in enumerate(asked):
            for _ in range(turns):
                await asyncio.sleep(0)
            tasks.append(asyncio.create_task(ask(number)))
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for number, answer in enumerate(answers):
            if number in bad:
                assert isinstance(answer, QueryFailed)
                assert answer.detail == f"{number} is bad"
            else:
                assert answer == number * 10
        assert work.committed == [n for n in range(len(asked)) if n not in bad]
        for batch in work.batches:
            assert len(batch) == 1 or sum(asked[n][2] for n in batch) <= most

    asyncio.run(scene())


async def test_what_comes_while_a_batch_is_at_work_is_the_next_batch() -> None:
    work = Work()
    gatherer = Gatherer(work, most=100)
    work.open.clear()
    first = asyncio.create_task(gatherer.do(0))
    await asyncio.sleep(0.01)
    rest = [asyncio.create_task(gatherer.do(n)) for n in range(1, 50)]
    await asyncio.sleep(0.01)
    work.open.set()
    assert await asyncio.gather(first, *rest) == [n * 10 for n in range(50)]
    assert work.batches == [[0], list(range(1, 50))]


async def test_an_unreachable_database_is_told_to_all_at_once() -> None:
    calls = []

    async def away(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        raise StoreUnavailable("gone")

    gatherer = Gatherer(away, most=100)
    answers = await asyncio.gather(*map(gatherer.do, range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 5
    assert calls == [[0, 1, 2, 3, 4]]


async def test_whoever_leaves_before_the_batch_begins_is_left_out_and_later_is_done() -> None:
    work = Work()
    gatherer = Gatherer(work, most=100)
    work.open.clear()
    at_work = asyncio.create_task(gatherer.do(0))
    await asyncio.sleep(0.01)
    waiting = [asyncio.create_task(gatherer.do(n)) for n in (1, 2)]
    await asyncio.sleep(0.01)
    at_work.cancel()
    waiting[0].cancel()
    await asyncio.sleep(0.01)
    work.open.set()
    assert await waiting[1] == 20
    assert work.committed == [0, 2]


async def test_batches_begin_apart_but_the_first_one_waits_for_nobody() -> None:
    work = Work()
    gatherer = Gatherer(work, most=100, every_s=0.2)
    began_s = time.monotonic()
    await gatherer.do(0)
    assert time.monotonic() - began_s < 0.1
    await asyncio.gather(gatherer.do(1), gatherer.do(2))
    assert time.monotonic() - began_s >= 0.2
    assert work.batches == [[0], [1, 2]]


async def test_closed_it_does_nothing_more() -> None:
    work = Work()
    gatherer = Gatherer(work, most=100)
    work.open.clear()
    task = asyncio.create_task(gatherer.do(0))
    await asyncio.sleep(0.01)
    await gatherer.close()
    assert work.committed == []
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
