"""postfleet node fence: what it shows, what it asks, what it changes."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import psycopg
import pytest

from tests.controller.cli.conftest import Cli, Ran


async def answering(cli: Cli, answer: str, *arguments: str) -> Ran:
    """Runs the program with a terminal as standard input, and answers its question."""
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller.cli.main", *arguments, stdin=theirs,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=cli.environment(),
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    out, err = await process.communicate()
    os.close(ours)
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


def change(cli: Cli, statement: str) -> None:
    with psycopg.connect(cli.served.database, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


async def lease(cli: Cli) -> tuple[int, bool]:
    node = (await cli("node", "show", "n1", "--json")).data
    return node["epoch"], node["lease_valid"]


@pytest.fixture
async def live(cli: Cli) -> Cli:
    """n1 looks alive: it was heard a moment ago, and is not silent by the database's clock."""
    await cli.apply()
    change(cli, "INSERT INTO lease (node_id, epoch, held, ttl_ms, margin_ms)"
                " VALUES ('n1', 4, true, 600000, 5000)")  # fmt: skip
    change(cli, "UPDATE node SET connected = true, last_seen = now() + interval '10 min',"
                " certificate_sha256 = 'x', boot_id = 'b' WHERE id = 'n1'")  # fmt: skip
    return cli


async def test_a_live_node_is_fenced_only_by_typing_its_name(live: Cli) -> None:
    for answer in ("y", ""):
        refused = await answering(live, answer, "node", "fence", "n1")
        assert refused.code == 1
        assert "n1 IS ALIVE" in refused.err
        assert "two senders at one address" in refused.err
        assert "not confirmed; nothing was changed" in refused.err
        assert await lease(live) == (4, True)
    done = await answering(live, "n1", "node", "fence", "n1", "--reason", "we cut its port")
    assert done.code == 0, done.err
    assert "n1 is fenced" in done.out
    assert await lease(live) == (5, False)
    audit = (await live("audit", "list", "--subject", "node/n1", "--json")).data
    assert [(each["actor"], each["action"]) for each in audit] == [
        ("operator/admin", "end-term"), ("operator/admin", "fence-node"),
    ]  # fmt: skip
    assert audit[1]["reason"] == "we cut its port"


async def test_nobody_to_ask_means_no(live: Cli) -> None:
    ran = await live("node", "fence", "n1")
    assert (ran.code, "--yes does it without asking" in ran.err) == (1, True)
    ran = await live("node", "fence", "n1", "--json")
    assert json.loads(ran.err)["exit"] == 1
    assert await lease(live) == (4, True)


async def test_a_dry_run_shows_what_is_at_stake_and_changes_nothing(live: Cli) -> None:
    dry = await live("node", "fence", "n1", "--dry-run", "--json")
    assert dry.code == 0, dry.err
    assert dry.data["at_stake"]["life"] == "alive"
    assert dry.data["dry_run"] is True
    shown = await live("node", "fence", "n1", "--dry-run")
    assert "term 4" in shown.out
    assert "would change: n1 is fenced" in shown.out
    assert await lease(live) == (4, True)


async def test_a_silent_node_is_fenced_by_a_yes(live: Cli) -> None:
    change(live, "UPDATE node SET connected = false, last_seen = now() - interval '1 h'")
    done = await answering(live, "y", "node", "fence", "n1")
    assert done.code == 0, done.err
    assert "was heard 1 h ago" in done.err
    again = await live("node", "fence", "n1", "--yes")
    assert (again.code, "nothing changed" in again.out) == (0, True)
    node = (await live("node", "show", "n1", "--json")).data
    assert (node["state"], node["fenced"]) == ("fenced", True)
    opened = await live("node", "uncordon", "n1")
    assert opened.out == "n1 is open for egresses\n"


async def test_a_node_that_is_not_there_is_not_found(live: Cli) -> None:
    ran = await live("node", "fence", "n9", "--yes")
    assert (ran.code, "there is no node 'n9'" in ran.err) == (4, True)
