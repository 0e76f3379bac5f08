"""Applying an inventory to a real PostgreSQL: all or nothing, and the second time nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from controller.desired.build import surrogate_address
from controller.fleet.apply import apply_inventory, plan_inventory
from controller.fleet.errors import RefusedError
from controller.fleet.plan import Action
from controller.fleet.rows import FleetRows
from controller.fleet.wanted import wanted_rows
from controller.keys.sealing import Sealer, proxy_password_row
from controller.store import Store
from inventory.load import parse
from inventory.reference import render

_SEALER = Sealer(b"k" * 32)


def _wanted(text: str, password: str = "s3cret") -> FleetRows:
    class Secrets(dict[str, str]):
        def __missing__(self, reference: str) -> str:
            return "ssh-ed25519 AAAA" if reference.startswith("file:host-keys") else password

    return wanted_rows(parse(text, "x").inventory, Secrets())


def _small(mailboxes: int = 24) -> str:
    return render(nodes=3, mailboxes=mailboxes)


def _rows(database: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(database, autocommit=True) as connection:
        cursor = connection.execute(statement, parameters)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


async def _apply(store: Store, wanted: FleetRows) -> list[tuple[str, str, str]]:
    planned = await apply_inventory(store, _SEALER, wanted, "operator/test")
    return [(each.action.value, each.kind, each.id) for each in planned.changes]


async def test_the_second_apply_changes_nothing(store: Store, database: str) -> None:
    first = await _apply(store, _wanted(_small()))
    assert len(first) == 1 + 3 + 3 + 24 + 4 + 3
    audited = _rows(database, "SELECT count(*) FROM audit")
    generations = _rows(database, "SELECT id, wanted_generation FROM node ORDER BY id")
    assert await _apply(store, _wanted(_small())) == []
    assert _rows(database, "SELECT count(*) FROM audit") == audited
    assert _rows(database, "SELECT id, wanted_generation FROM node ORDER BY id") == generations


async def test_a_plan_writes_nothing_and_names_what_apply_does(store: Store, database: str) -> None:
    planned = await plan_inventory(store, _SEALER, _wanted(_small()))
    assert _rows(database, "SELECT count(*) FROM client") == [(0,)]
    done = await apply_inventory(store, _SEALER, _wanted(_small()), "operator/test")
    assert done == planned


async def test_every_domain_gets_its_key_in_the_same_transaction(
    store: Store, database: str
) -> None:
    await _apply(store, _wanted(_small()))
    keys = _rows(database, "SELECT domain, selector, public_key, sealed_key FROM dkim_key")
    assert len(keys) == 3
    assert all(b"PRIVATE KEY" not in bytes(sealed) for _, _, _, sealed in keys)
    renamed = _small().replace(
        "    client: harbor\n    mail", "    client: harbor\n    dkim_selector: pf2\n    mail"
    )
    await _apply(store, _wanted(renamed))
    assert len(_rows(database, "SELECT 1 FROM dkim_key WHERE selector = 'pf2'")) == 1
    assert len(_rows(database, "SELECT 1 FROM dkim_key")) == 4


async def test_passwords_are_sealed_and_a_new_one_is_a_change(store: Store, database: str) -> None:
    await _apply(store, _wanted(_small()))
    sealed = dict(_rows(database, "SELECT id, sealed_password FROM egress"))
    row = proxy_password_row("px001")
    assert _SEALER.open(sealed["px001"], row) == b"s3cret"
    changed = await _apply(store, _wanted(_small(), password="other"))
    assert [each[:2] for each in changed] == [("change", "egress")] * 4
    sealed = dict(_rows(database, "SELECT id, sealed_password FROM egress"))
    assert _SEALER.open(sealed["px001"], row) == b"other"
    shown = str(_rows(database, "SELECT evidence FROM audit"))
    assert "password: changed" in shown
    assert "other" not in shown


async def test_a_surrogate_address_is_never_used_again(store: Store, database: str) -> None:
    await _apply(store, _wanted(_small(24)))
    used = {each for (each,) in _rows(database, "SELECT surrogate_index FROM egress")}
    await _apply(store, _wanted(_small(1)))
    await _apply(store, _wanted(_small(24)))
    again = {each for (each,) in _rows(database, "SELECT surrogate_index FROM egress")}
    assert len(again - used) == 3


async def test_two_egresses_may_exchange_address_and_ehlo_name(store: Store, database: str) -> None:
    await _apply(store, _wanted(_small()))
    text = _small()
    for value, other in (("public_ip: 198.51.100.1\n", "public_ip: 198.51.100.2\n"),
                         ("helo_name: mx-001", "helo_name: mx-002")):  # fmt: skip
        text = text.replace(value, "?!").replace(other, value).replace("?!", other)
    changed = await _apply(store, _wanted(text))
    assert changed == [("change", "egress", "px001"), ("change", "egress", "px002")]
    assert await _apply(store, _wanted(text)) == []


async def test_only_nodes_that_hold_what_changed_get_a_new_generation(
    store: Store, database: str
) -> None:
    await _apply(store, _wanted(_small()))
    _rows(database, "INSERT INTO assignment (egress_id, node_id) VALUES ('px001', 'n2')")
    before = dict(_rows(database, "SELECT id, wanted_generation FROM node"))
    text = _small().replace("helo_name: mx-001.", "helo_name: new-001.")
    await _apply(store, _wanted(text))
    after = dict(_rows(database, "SELECT id, wanted_generation FROM node"))
    assert {each: after[each] - before[each] for each in after} == {"n1": 0, "n2": 1, "n3": 0}


async def test_a_new_generation_comes_to_all_nodes_with_new_settings(
    store: Store, database: str
) -> None:
    await _apply(store, _wanted(_small()))
    await _apply(store, _wanted(_small().replace("minimal_backoff_s: 5", "minimal_backoff_s: 6")))
    assert {each for (each,) in _rows(database, "SELECT wanted_generation FROM node")} == {2}


def _message(database: str, state: str, mailbox: str | None, egress: str | None) -> None:
    _rows(
        database,
        "INSERT INTO message (id, client_id, mailbox, egress_id,"
        " recipient, not_before, state, size, node_id) VALUES ('m1', 'lumen', %s, %s,"
        " 'x@y.test', now(), %s, 1, 'n1')",
        mailbox, egress, state,
    )  # fmt: skip


async def test_unfinished_mail_stops_the_removal_of_what_it_needs_and_of_everything_else(
    store: Store, database: str
) -> None:
    await _apply(store, _wanted(_small()))
    box, egress = _rows(
        database, "SELECT address, egress_id FROM mailbox WHERE client_id = 'lumen' LIMIT 1"
    )[0]
    _message(database, "queued", box, egress)
    with pytest.raises(RefusedError) as refused:
        await _apply(store, _wanted(_small(1)))
    assert [reason.partition(":")[0] for reason in refused.value.reasons] == [
        f"mailbox {box} cannot be removed",
        f"egress {egress} cannot be removed",
    ]
    assert _rows(database, "SELECT count(*) FROM mailbox") == [(24,)]


async def test_a_client_with_mail_on_record_retires_and_can_come_back(
    store: Store, database: str
) -> None:
    await _apply(store, _wanted(_small()))
    _message(database, "sent", "gone@lumen-mail.test", "px004")
    await _apply(store, _wanted(_small(1)))
    clients = _rows(database, "SELECT id, retired FROM client ORDER BY id")
    assert clients == [("harbor", False), ("lumen", True)]
    assert await _apply(store, _wanted(_small(1))) == []
    await _apply(store, _wanted(_small()))
    assert ("lumen", False) in _rows(database, "SELECT id, retired FROM client")


async def test_a_node_goes_with_egresses_it_was_to_have_and_never_had(
    store: Store, database: str
) -> None:
    """Nothing moves them off it in the moment between its decommissioning and the next apply."""
    text = _small()
    await _apply(store, _wanted(text))
    _rows(database, "INSERT INTO assignment (egress_id, node_id) VALUES ('px001', 'n3')")
    _rows(database, "UPDATE node SET decommissioned = true WHERE id = 'n3'")
    smaller = _wanted(text[: text.index("  - id: n3")])
    assert await _apply(store, smaller) == [("remove", "node", "n3")]
    assert _rows(database, "SELECT 1 FROM assignment") == []


async def test_an_egress_on_a_node_is_given_back_before_it_goes(
    store: Store, database: str
) -> None:
    await _apply(store, _wanted(_small()))
    _rows(database, "INSERT INTO lease (node_id, epoch, held) VALUES ('n1', 1, true)")
    _rows(database, "INSERT INTO assignment (egress_id, node_id, epoch) VALUES ('px004', 'n1', 1)")
    assert (Action.RETIRE.value, "egress", "px004") in await _apply(store, _wanted(_small(1)))
    assert _rows(database, "SELECT state FROM assignment") == [("releasing",)]
    assert await _apply(store, _wanted(_small(1))) == []
    _rows(database, "DELETE FROM assignment")
    assert await _apply(store, _wanted(_small(1))) == [("remove", "egress", "px004")]


async def test_an_egress_that_was_assigned_and_never_granted_goes_at_once(
    store: Store, database: str
) -> None:
    await _apply(store, _wanted(_small()))
    _rows(database, "INSERT INTO lease (node_id, epoch, held) VALUES ('n1', 1, true)")
    _rows(database, "INSERT INTO assignment (egress_id, node_id) VALUES ('px004', 'n1')")
    assert ("remove", "egress", "px004") in await _apply(store, _wanted(_small(1)))
    assert _rows(database, "SELECT 1 FROM assignment") == []
    assert _rows(database, "SELECT wanted_generation FROM node WHERE id = 'n1'") == [(2,)]


async def test_two_applies_at_once_follow_each_other(store: Store, database: str) -> None:
    wanted = _wanted(_small())
    plans = await asyncio.gather(_apply(store, wanted), _apply(store, wanted))
    assert sorted(map(len, plans)) == [0, 38]


async def test_no_egress_gets_the_address_at_which_the_gateway_answers_probes(
    store: Store, database: str
) -> None:
    _rows(database, "SELECT setval('egress_surrogate', 65532)")
    await apply_inventory(store, _SEALER, _wanted(_small()), "operator/test")
    rows = _rows(database, "SELECT surrogate_index FROM egress ORDER BY 1")
    assert [row[0] for row in rows] == [65533, 65535, 65536, 65537]
    assert surrogate_address(65534) == "198.18.255.254"
