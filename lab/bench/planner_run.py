"""A planner and nothing else: `python -m lab.bench.planner_run DSN COUNT`.

Plans at least COUNT waiting messages and prints, as JSON: assigned, seconds, memory_mb (the most
that the process held).
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time

from controller.planner import metrics
from controller.planner.cycle import Planner
from controller.store import Store


async def plan(dsn: str, count: int) -> dict[str, float]:
    """Runs cycles until so many are assigned. The first one is not counted: it fills caches."""
    async with Store.open(dsn) as store:
        planner = Planner(store)
        await planner.run_cycle()
        first, began = assigned(), time.perf_counter()
        while assigned() - first < count:
            before = assigned()
            await planner.run_cycle()
            if assigned() == before:
                raise SystemExit(f"the planner stopped after {before:.0f} messages")
        seconds = time.perf_counter() - began
    return {
        "assigned": assigned() - first,
        "seconds": seconds,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def assigned() -> float:
    """How many messages were assigned so far, by the planner's own metric."""
    return sum(
        sample.value
        for metric in metrics.ASSIGNED.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    )


if __name__ == "__main__":
    print(json.dumps(asyncio.run(plan(sys.argv[1], int(sys.argv[2])))))
