"""What scenes with simulated agents share: a served controller, waiting, submitting, looking."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from controller.keys.authority import Issued
from controller.keys.sealing import open_sealer
from controller.server import Controller, serving
from controller.serving.settings import Endpoint, RunSettings
from controller.store import Store
from tests.controller.served import NO_DNS
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.small_fleet import apply, enrol, small_inventory, sql

# Outlasts a busy machine's pauses.
CALM_LEASE = {"ttl_s": 60, "margin_s": 5, "heartbeat_s": 0.3}
# Nothing comes about because such a lease ran out.
LONG_LEASE = {"ttl_s": 600, "margin_s": 5, "heartbeat_s": 0.3}


@contextlib.asynccontextmanager
async def one_controller(
    database: str, state_dir: Path, join_grace_s: float = 60, shaping: Path | None = None
) -> AsyncIterator[Controller]:
    """A controller on a port of its own choice that asks no resolver. `shaping`: its rules."""
    settings = RunSettings(
        state_dir=state_dir,
        listen=Endpoint("127.0.0.1", 0),
        join_grace_s=join_grace_s,
        dns=NO_DNS,
        shaping=shaping,
    )
    async with serving(settings, database) as controller:
        yield controller


@contextlib.asynccontextmanager
async def controller_of(
    database: str, store: Store, state_dir: Path, join_grace_s: float = 60, **inventory: Any
) -> AsyncIterator[Controller]:
    """A controller of a fleet as `small_inventory(**inventory)` describes it."""
    await apply(store, open_sealer(state_dir), small_inventory(**inventory))
    async with one_controller(database, state_dir, join_grace_s) as controller:
        yield controller


def agent_with(controller: Controller, node_id: str, issued: Issued) -> SimulatedAgent:
    """An agent that calls itself by this id, with whatever certificate."""
    return SimulatedAgent(node_id, f"127.0.0.1:{controller.port}", controller.ca.pem, issued)


async def enrolled(controller: Controller, *node_ids: str) -> list[SimulatedAgent]:
    """The nodes' agents with new certificates; those they had are refused from now on."""
    return [
        agent_with(controller, id, await enrol(controller.store, controller.ca, id))
        for id in node_ids
    ]


async def greylisted_and_not(controller: Controller) -> tuple[SimulatedAgent, SimulatedAgent]:
    """n1, whose receivers greylist everything, and n2."""
    first, second = await enrolled(controller, "n1", "n2")
    first.greylisted = True
    return first, second


async def until(what: Callable[[], object], deadline_s: float = 90) -> None:
    """Waits for `what` to be true; it gives a value, or something to await for one."""
    async with asyncio.timeout(deadline_s):
        while True:
            value = what()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return
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
        sql("INSERT INTO message (id, client_id, recipient,"
            " not_before, size) SELECT i, 'acme', 'to@x.test',"
            " now() + make_interval(secs => %(due_in_s)s), 10"
            " FROM unnest(%(ids)s::text[]) AS i"), ids=ids, due_in_s=due_in_s,
    )  # fmt: skip
    await store.execute(
        sql("INSERT INTO submission SELECT i, 'acme', i, '', 'to@x.test'"
            " FROM unnest(%(ids)s::text[]) AS i"), ids=ids,
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


async def states_have(store: Store, **wanted: int) -> bool:
    """Exactly so many messages are in these states; others may be in others."""
    found = await states(store)
    return all(found.get(state, 0) == count for state, count in wanted.items())


async def states_are(store: Store, **wanted: int) -> bool:
    """All messages are in these states."""
    return await states(store) == wanted


async def sent_some(store: Store, *, more_than: int) -> bool:
    return (await states(store)).get("sent", 0) > more_than


async def charged(store: Store) -> dict[str, int]:
    """What the ledger holds against egresses and mailboxes, over all of them."""
    rows = await store.fetch_all(
        sql(
            "SELECT scope, sum(used) AS used FROM ledger WHERE scope IN ('egress', 'mailbox')"
            " GROUP BY scope ORDER BY scope"
        )
    )
    return {row["scope"]: row["used"] for row in rows}


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
