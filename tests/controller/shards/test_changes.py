"""Nothing that decides about shards changes unnoticed: on a real database."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from controller.keys.sealing import open_sealer
from controller.shards.changes import AT_LEAST_EVERY_S, ChangeCheck
from controller.store import Store, queries
from tests.controller.small_fleet import apply, small_inventory, sql

# For every column that is read, a change of it; None: a key, which comes and goes with its row.
CHANGES = {
    "assignment.egress_id": None,
    "assignment.epoch": "epoch + 1",
    "assignment.node_id": "'n2'",
    "assignment.state": "'releasing'",
    "client.id": None,
    "client.priority": "priority + 1",
    "egress.client_id": "'zeta'",
    "egress.id": None,
    "egress.only_node": "'n1'",
    "egress.region": "'eu'",
    "egress.state": "'retired'",
    "lease.epoch": "2",
    "lease.held": "NOT held",
    "lease.node_id": None,
    "lease.renewals": "1",
    "mailbox.egress_id": "'px2'",
    "node.added_at": "added_at - interval '1 h'",
    "node.capacity": "capacity + 1",
    "node.cordoned": "NOT cordoned",
    "node.decommissioned": "NOT decommissioned",
    "node.draining": "NOT draining",
    "node.failure_domain": "'elsewhere'",
    "node.fenced": "NOT fenced",
    "node.id": None,
    "node.region": "'eu'",
    "rebalance.actor": "'operator/y'",
    "rebalance.max_in_flight": "7",
    "rebalance.reason": "'another'",
    "running_mailbox.egress_id": "'px2'",
    "running_mailbox.node_id": "'n2'",
    "setting.name": None,
    "setting.value": """jsonb_set(value, '{moves_in_flight}', '3')""",
    "shard_move.egress_id": None,
    "shard_move.from_node": "'n9'",
    "shard_move.reason": "'other'",
    "shard_move.to_node": "'n9'",
}
READ = [*(("shards", name) for name in ("nodes", "egresses", "order")), ("desired", "settings")]
# What heartbeats, probes, plans and mail write all the time.
IRRELEVANT = (
    "UPDATE node SET last_seen = now(), connected = true, queued = 7, wanted_generation = 9",
    "UPDATE lease SET renewals = renewals + 1, held = true, session_id = 'x' WHERE renewals > 0",
    "UPDATE client SET name = 'x'",
    "UPDATE mailbox SET display_name = 'x'",
    "UPDATE assignment SET epoch = 3 WHERE epoch <> 3 AND node_id = 'n9'",
    "INSERT INTO audit (actor, action, subject) VALUES ('x', 'y', 'z')",
)


@pytest.fixture
async def fleet(store: Store, tmp_path: Path) -> Store:
    """One row at least in each table that is read."""
    await apply(store, open_sealer(tmp_path), small_inventory(nodes=2))
    for statement in (
        "INSERT INTO client SELECT 'zeta', name, unsubscribe_url, unsubscribe_mailto FROM client",
        "INSERT INTO lease (node_id) VALUES ('n1')",
        "INSERT INTO lease (node_id, renewals, held) VALUES ('n2', 5, true)",
        "INSERT INTO assignment (egress_id, node_id) VALUES ('px1', 'n1')",
        "INSERT INTO shard_move (egress_id, from_node, reason) VALUES ('px1', 'n2', 'x')",
        "INSERT INTO rebalance (actor, reason) VALUES ('operator/x', '')",
        "INSERT INTO running_mailbox VALUES ('n1', 'm1-1@acme.test', 'px1')",
    ):
        await store.execute(sql(statement))
    return store


async def informed(store: Store) -> ChangeCheck:
    """Has just read everything."""
    check = ChangeCheck()
    async with store.transaction() as tx:
        snapshot = await check.look(tx)
    check.remember(snapshot, 1e9)
    assert not await check.is_due(store)
    return check


def columns_read(database: str) -> set[str]:
    """Every column that the queries read, as PostgreSQL itself says."""
    with psycopg.connect(database) as connection:
        for number, (area, name) in enumerate(READ):
            text = queries.load(area)[name].sql.replace("%(name)s", "'fleet'")
            connection.execute(f"CREATE VIEW read_{number} AS {text}")  # type: ignore[arg-type]
        rows = connection.execute(
            "SELECT DISTINCT table_name || '.' || column_name"
            " FROM information_schema.view_column_usage WHERE view_name LIKE 'read\\_%'"
        ).fetchall()
        connection.rollback()
    return {row[0] for row in rows}


async def test_a_change_of_any_column_that_is_read_is_noticed(fleet: Store) -> None:
    assert columns_read(fleet.dsn) == set(CHANGES), "give each column a change, and a trigger"
    check = await informed(fleet)
    for column, value in CHANGES.items():
        if value is None:
            continue
        table, name = column.split(".")
        only = " WHERE node_id = 'n1'" if table == "lease" else ""
        assert await fleet.execute(sql(f"UPDATE {table} SET {name} = {value}{only}")) > 0
        assert await check.is_due(fleet), column
        check = await informed(fleet)


@pytest.mark.parametrize(
    "table",
    ["rebalance", "shard_move", "running_mailbox", "assignment", "lease", "mailbox", "setting"],
)
async def test_rows_that_go_and_come_are_noticed(fleet: Store, table: str) -> None:
    check = await informed(fleet)
    await fleet.execute(sql(f"CREATE TABLE kept AS SELECT * FROM {table}"))
    assert not await check.is_due(fleet)
    await fleet.execute(sql(f"DELETE FROM {table}"))
    assert await check.is_due(fleet)
    check = await informed(fleet)
    await fleet.execute(sql(f"INSERT INTO {table} SELECT * FROM kept"))
    assert await check.is_due(fleet)


async def test_an_inventory_that_adds_nodes_and_egresses_is_noticed(
    fleet: Store, tmp_path: Path
) -> None:
    check = await informed(fleet)
    await apply(fleet, open_sealer(tmp_path), small_inventory(nodes=3, egresses=5))
    assert await check.is_due(fleet)


async def test_what_happens_all_the_time_costs_no_reading(fleet: Store) -> None:
    check = await informed(fleet)
    for statement in IRRELEVANT:
        await fleet.execute(sql(statement))
        assert not await check.is_due(fleet), statement


async def test_a_transaction_that_began_before_the_reading_and_ends_after_it_is_noticed(
    fleet: Store,
) -> None:
    """The order of commits is not the order of beginnings: counters and times would miss this."""
    async with fleet.transaction() as slow:
        await slow.execute(sql("UPDATE node SET capacity = 7"))
        await fleet.execute(sql("UPDATE client SET priority = 9"))
        check = await informed(fleet)
    assert await check.is_due(fleet)
    assert not await (await informed(fleet)).is_due(fleet)


async def test_many_changes_are_forgotten_and_whoever_has_not_seen_them_reads_all(
    fleet: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.shards.changes._MOST_NOTED", 3)
    late = await informed(fleet)
    for capacity in range(1, 6):
        await fleet.execute(sql(f"UPDATE node SET capacity = {capacity}"))
    check = ChangeCheck()
    async with fleet.transaction() as tx:
        snapshot = await check.look(tx)
        await check.prune(tx, snapshot)
    assert await fleet.fetch_value(sql("SELECT count(*) FROM shard_change")) == 1
    assert await late.is_due(fleet)
    assert not await (await informed(fleet)).is_due(fleet)


async def test_what_was_read_holds_for_a_while_only(fleet: Store) -> None:
    now_s = 100.0
    check = ChangeCheck(lambda: now_s)
    assert await check.is_due(fleet)
    for good_for_s in (5.0, 1e9):
        async with fleet.transaction() as tx:
            check.remember(await check.look(tx), good_for_s)
        assert not await check.is_due(fleet)
        now_s += min(good_for_s, AT_LEAST_EVERY_S)
        assert await check.is_due(fleet)
    check.forget()
    assert await check.is_due(fleet)


async def test_writers_that_commit_in_any_order_are_all_seen(fleet: Store) -> None:
    """Reads whenever it is due while five write: what it read last is what there is."""
    check, read = ChangeCheck(), -1

    async def look() -> None:
        nonlocal read
        if await check.is_due(fleet):
            async with fleet.transaction() as tx:
                snapshot = await check.look(tx)
                read = await tx.fetch_value(sql("SELECT sum(priority) FROM client"))
            check.remember(snapshot, 1e9)

    async def write(pause_s: float) -> None:
        for _ in range(8):
            async with fleet.transaction() as tx:
                await tx.execute(sql("INSERT INTO audit (actor, action, subject)"
                                     " VALUES ('x', 'y', 'z')"))  # fmt: skip
                await asyncio.sleep(pause_s)
                await tx.execute(sql("UPDATE client SET priority = priority + 1"))

    writers = [asyncio.create_task(write(0.003 * n)) for n in range(5)]
    while not all(task.done() for task in writers):
        await look()
    await asyncio.gather(*writers)
    await look()
    assert read == await fleet.fetch_value(sql("SELECT sum(priority) FROM client"))
