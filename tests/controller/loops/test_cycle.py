"""Loops: they outlive failures, and end when told to."""

from __future__ import annotations

import asyncio

from controller.loops.cycle import run_forever


async def test_a_loop_outlives_cycles_that_fail() -> None:
    went = 0

    async def cycle() -> str:
        nonlocal went
        went += 1
        if went < 3:
            raise RuntimeError("a bad row")
        return "done"

    loop = asyncio.create_task(run_forever("test", cycle, every_s=0.001, max_pause_s=0.01))
    while went < 5:
        await asyncio.sleep(0.005)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_a_loop_ends_although_its_cycle_swallowed_the_cancellation() -> None:
    inside = asyncio.Event()

    async def swallows() -> str:
        inside.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return "as psycopg's pool does now and then on Python 3.11"
        return "not reached"

    loop = asyncio.create_task(run_forever("test", swallows, every_s=0.0))
    await inside.wait()
    loop.cancel()
    done, _ = await asyncio.wait([loop], timeout=60)
    assert done, "the loop runs on"
