"""postfleet capacity against a running controller."""

from __future__ import annotations

import re

import psycopg

from tests.controller.cli.conftest import Cli
from tests.controller.served import small_inventory
from tests.controller.sessions.scene import until


async def placed(cli: Cli) -> None:
    async def all_placed() -> bool:
        with psycopg.connect(cli.served.database, autocommit=True) as connection:
            row = connection.execute("SELECT count(*) FROM assignment").fetchone()
        return row == (4,)

    await until(all_placed)


async def test_a_fleet_with_room_to_spare_survives_any_loss(cli: Cli) -> None:
    await cli.apply(re.sub(r"capacity: \d+", "capacity: 40", small_inventory()))
    await placed(cli)
    ran = await cli("capacity")
    assert ran.code == 0, ran.err
    assert "survives the loss of any one node, and of any failure domain" in ran.out


async def test_what_is_missing_ends_with_1_and_says_what_to_add(cli: Cli) -> None:
    await cli.apply(re.sub(r"capacity: \d+", "capacity: 14", small_inventory()))
    await placed(cli)
    ran = await cli("capacity")
    assert ran.code == 1, ran.err
    assert ran.err == ""
    assert "add 1 node of capacity 14, in a failure domain of their own" in ran.out
    assert "mailboxes have no place (the loss of" in ran.out
    report = (await cli("capacity", "--json")).data
    assert report["survives"] is False
    assert (report["add_nodes"], report["add_capacity"]) == (1, 14)
    lost = [each for each in report["losses"] if not each["survived"]]
    assert lost
    assert all(sum(each["by_client"].values()) > 0 for each in lost)
