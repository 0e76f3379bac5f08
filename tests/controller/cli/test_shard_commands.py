"""Draining, rebalancing and moving as an operator does, on nodes that do their part."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.controller.cli.conftest import Cli
from tests.controller.served import small_inventory
from tests.controller.sessions.scene import running, until
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.small_fleet import enrol

NODES = ("n1", "n2", "n3")


def change(cli: Cli, statement: str) -> None:
    with psycopg.connect(cli.served.database, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


async def shards(cli: Cli) -> dict[str, list[str]]:
    """Egresses by node; node '' has those that no node holds."""
    with psycopg.connect(cli.served.database, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT coalesce(a.node_id, ''), e.id FROM egress AS e"
            " LEFT JOIN assignment AS a ON a.egress_id = e.id ORDER BY 2"
        ).fetchall()
    found: dict[str, list[str]] = {node: [] for node in NODES}
    for node, egress in rows:
        found.setdefault(node, []).append(egress)
    return found


@contextlib.asynccontextmanager
async def agents(cli: Cli, *node_ids: str) -> AsyncIterator[dict[str, SimulatedAgent]]:
    """These nodes are connected and run what they are given."""
    controller = cli.served.controller
    made = {
        id: SimulatedAgent(
            id, f"127.0.0.1:{controller.port}", controller.ca.pem,
            await enrol(controller.store, controller.ca, id),
        )
        for id in node_ids
    }  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        for agent in made.values():
            await stack.enter_async_context(running(agent))

        async def all_run() -> bool:
            given = {id: set(ids) for id, ids in (await shards(cli)).items()}
            return not given.get("") and all(
                set(agent.mailboxes.values()) == given[id] and agent.granted == given[id]
                for id, agent in made.items()
            )

        await until(all_run)
        yield made


@pytest.fixture
async def fleet(cli: Cli) -> AsyncIterator[Cli]:
    """Three connected nodes with 24 mailboxes on 4 egresses; each node has room for all."""
    await cli.apply()
    async with agents(cli, *NODES):
        yield cli


async def test_a_node_is_drained_and_opened_again(fleet: Cli) -> None:
    before = await shards(fleet)
    dry = await fleet("node", "drain", "n1", "--dry-run")
    assert dry.code == 0, dry.err
    assert "its node drains" in dry.out
    assert "would change: n1 drains" in dry.out
    assert await shards(fleet) == before
    done = await fleet("node", "drain", "n1", "--reason", "kernel update", "--timeout", "90")
    assert done.code == 0, done.err
    assert "n1 is drained" in done.out
    after = await shards(fleet)
    assert after["n1"] == []
    assert "" not in after
    assert (await fleet("node", "show", "n1", "--json")).data["state"] == "drained"
    again = await fleet("node", "drain", "n1")
    assert (again.code, "drains already" in again.out) == (0, True)
    audit = (await fleet("audit", "list", "--subject", "node/n1", "--json")).data
    assert ("operator/admin", "drain-node", "kernel update") in [
        (each["actor"], each["action"], each["reason"]) for each in audit
    ]
    assert (await fleet("node", "uncordon", "n1")).out == "n1 is open for egresses\n"
    assert (await fleet("node", "show", "n1", "--json")).data["state"] == "connected"


async def test_the_last_node_is_not_drained(fleet: Cli) -> None:
    for node in ("n2", "n3"):
        await fleet("node", "cordon", node)
    before = await shards(fleet)
    for force in ((), ("--force",)):
        refused = await fleet("node", "drain", "n1", *force)
        assert refused.code == 1
        assert "n1 is the last node that may hold egresses" in refused.err
        assert "Nothing was changed" in refused.err
    assert (await fleet("node", "show", "n1", "--json")).data["draining"] is False
    assert await shards(fleet) == before


async def test_a_drain_that_cannot_all_fit_is_refused_with_what_is_missing(fleet: Cli) -> None:
    change(fleet, "UPDATE node SET capacity = (SELECT greatest(1, count(*)) FROM mailbox AS m"
                  " JOIN assignment AS a USING (egress_id) WHERE a.node_id = node.id)")  # fmt: skip
    refused = await fleet("node", "drain", "n1")
    assert refused.code == 1
    assert "would find no place (mailboxes by client:" in refused.err
    assert "mailboxes of capacity are missing" in refused.err
    assert (await fleet("node", "show", "n1", "--json")).data["draining"] is False
    forced = await fleet("node", "drain", "n1", "--force", "--timeout", "90")
    assert forced.code == 0, forced.err
    assert "left out:" in forced.out
    assert (await shards(fleet))["n1"] == []


async def test_an_unknown_node_is_not_drained_and_nothing_goes_there(fleet: Cli) -> None:
    for command in (
        ("node", "drain", "n9"),
        ("shard", "move", "px001", "--to", "n9"),
        ("shard", "move", "px999", "--to", "n1"),
    ):
        ran = await fleet(*command)
        assert (ran.code, "there is no" in ran.err) == (4, True), ran


async def test_a_new_node_gets_its_share_when_an_operator_says_so(cli: Cli) -> None:
    text = small_inventory()
    assert (await cli.apply(text[: text.index("  - id: n3")])).code == 0
    async with agents(cli, "n1", "n2"), contextlib.AsyncExitStack() as later:
        assert (await cli.apply(text)).code == 0
        await later.enter_async_context(agents(cli, "n3"))
        planned = await cli("shard", "plan", "--json")
        assert {each["reason"] for each in planned.data["moves"]} == {"rebalance"}
        assert planned.data["moved_mailboxes"] >= planned.data["lower_bound"] > 0
        shown = await cli("shard", "plan")
        assert "to even the load out" in shown.out
        assert "have to move" in shown.out
        assert (await shards(cli))["n3"] == []
        refused = await cli("shard", "rebalance")
        assert (refused.code, "--yes does it without asking" in refused.err) == (1, True)
        done = await cli("shard", "rebalance", "--yes", "--max-in-flight", "1", "--timeout", "90")
        assert done.code == 0, done.err
        assert "the load is even" in done.out
        assert (await shards(cli))["n3"] != []
        assert "nothing to move" in (await cli("shard", "rebalance", "--yes")).out
    audit = (await cli("audit", "list", "--subject", "fleet/placement", "--json")).data
    assert [each["action"] for each in audit] == ["end-rebalance", "order-rebalance"]


async def test_one_rebalance_at_a_time_and_it_can_be_called_off(fleet: Cli) -> None:
    # Something that never ends stands in its way; in this order, as reconcile looks in between.
    change(fleet, "DELETE FROM running_mailbox")
    change(fleet, "INSERT INTO shard_move (egress_id, from_node, to_node, reason)"
                  " SELECT egress_id, 'n9', node_id, 'rebalance' FROM assignment")  # fmt: skip
    change(fleet, "INSERT INTO rebalance (actor, reason) VALUES ('operator/ada', '')")
    refused = await fleet("shard", "rebalance", "--yes")
    assert refused.code == 1
    assert "a rebalance that operator/ada ordered at" in refused.err
    target = next(id for id, ids in (await shards(fleet)).items() if "px001" not in ids)
    refused = await fleet("shard", "move", "px001", "--to", target)
    assert (refused.code, "a rebalance is running" in refused.err) == (1, True)
    listed = await fleet("shard", "moves")
    assert "a rebalance ordered by operator/ada is running" in listed.out
    assert "being applied" in listed.out
    stopped = await fleet("shard", "rebalance", "--stop")
    assert "the rebalance is called off" in stopped.out
    assert (await fleet("shard", "moves", "--json")).data["rebalancing"] is False
    assert "nothing changed" in (await fleet("shard", "rebalance", "--stop")).out


async def test_an_egress_is_moved_to_where_the_operator_wants_it(fleet: Cli) -> None:
    where = {e: n for n, ids in (await shards(fleet)).items() for e in ids}
    target = next(node for node in NODES if node != where["px001"])
    done = await fleet("shard", "move", "px001", "--to", target, "--timeout", "90")
    assert done.code == 0, done.err
    assert f"px001 moved from {where['px001']} to {target}" in done.out
    assert "px001" in (await shards(fleet))[target]
    again = await fleet("shard", "move", "px001", "--to", target)
    assert "nothing changed" in again.out


async def test_a_move_that_cannot_be_is_refused_and_nothing_changes(fleet: Cli) -> None:
    before = await shards(fleet)
    target = next(id for id, ids in before.items() if "px001" not in ids)
    change(fleet, f"UPDATE node SET cordoned = true WHERE id = '{target}'")
    refused = await fleet("shard", "move", "px001", "--to", target)
    assert refused.code == 1
    assert f"node {target} is closed for egresses" in refused.err
    assert "Nothing was changed" in refused.err
    assert await shards(fleet) == before


async def test_ctrl_c_ends_the_looking_on_and_not_the_drain(fleet: Cli) -> None:
    # A node that never gives anything back keeps the drain from ending.
    change(fleet, "CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS"
                  " 'BEGIN RETURN NULL; END'")  # fmt: skip
    change(fleet, "CREATE TRIGGER never BEFORE DELETE ON assignment FOR EACH ROW"
                  " EXECUTE FUNCTION never()")  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller.cli.main", "node", "drain", "n1",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=fleet.environment(),
    )  # fmt: skip
    assert process.stderr is not None
    first = await asyncio.wait_for(process.stderr.readline(), 60)
    assert b"to move" in first
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 130, err
    assert b"nothing is lost. The controller goes on by itself" in err
    assert b"postfleet node uncordon n1" in err
    assert b"Traceback" not in err
    assert (await fleet("node", "show", "n1", "--json")).data["state"] == "draining"
    late = await fleet("node", "drain", "n1", "--timeout", "0.5")
    assert (late.code, "it is not done" in late.err) == (1, True)


async def test_a_fleet_with_egresses_that_fit_nowhere_is_not_evened_out(cli: Cli) -> None:
    await cli.apply(re.sub(r"capacity: \d+", "capacity: 7", small_inventory()))
    refused = await cli("shard", "rebalance", "--yes")
    assert refused.code == 1
    assert "have no place at all" in refused.err
