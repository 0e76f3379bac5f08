"""What scenes with simulated agents share: waiting, submitting, looking."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

from controller.store import Store
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.small_fleet import sql


async def until(what: Callable[[], Awaitable[object]], deadline_s: float = 90) -> None:
    """Waits for `what` to be true."""
    async with asyncio.timeout(deadline_s):
        while not await what():
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def running(agent: SimulatedAgent) -> AsyncIterator[SimulatedAgent]:
    task = asyncio.create_task(agent.run())
    try:
        yield agent
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def submit(store: Store, count: int, prefix: str = "k", due_in_s: float = 0) -> list[str]:
    """Puts messages where intake would; the planner takes it from there."""
    ids = [f"{prefix}{secrets.token_hex(16)}"[:26] for _ in range(count)]
    await store.execute(
        sql("INSERT INTO message (id, client_id, idempotency_key, fingerprint, recipient,"
            " not_before, size) SELECT i, 'acme', i, '', 'to@x.test',"
            " now() + make_interval(secs => %(due_in_s)s), 10"
            " FROM unnest(%(ids)s::text[]) AS i"), ids=ids, due_in_s=due_in_s,
    )  # fmt: skip
    await store.execute(
        sql("INSERT INTO message_content (message_id, added, content)"
            " SELECT i, 'Added: yes'::bytea, 'Body'::bytea FROM unnest(%(ids)s::text[]) AS i"),
        ids=ids,
    )  # fmt: skip
    return ids


async def states(store: Store) -> dict[str, int]:
    rows = await store.fetch_all(sql("SELECT state, count(*) FROM message GROUP BY state"))
    return {row["state"]: row["count"] for row in rows}


async def audit_of(store: Store, action: str) -> list[dict[str, object]]:
    return await store.fetch_all(
        sql("SELECT actor, subject, reason, evidence FROM audit WHERE action = %(action)s"
            " ORDER BY id"), action=action,
    )  # fmt: skip


async def connected(store: Store, node_id: str) -> bool:
    row = await store.fetch_optional(
        sql("SELECT n.connected AND l.held AS ok FROM node n JOIN lease l ON l.node_id = n.id"
            " WHERE n.id = %(id)s"), id=node_id,
    )  # fmt: skip
    return bool(row and row["ok"])
