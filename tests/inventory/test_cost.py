"""What a fleet costs follows from its inventory."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from controller.cli.main import app
from inventory.cost import allowed_per_day, bill
from inventory.load import parse
from inventory.reference import render

_PRICES = "{proxy_monthly_eur: 2, domain_yearly_eur: 24, mailbox_monthly_eur: 0.1}"


def test_every_part_counts_at_its_price_and_nodes_at_their_own() -> None:
    fleet = parse(render(3, 48, settings={"costs": _PRICES}), "x").inventory
    found = bill(fleet)
    assert {part.name: (part.count, round(part.monthly_eur, 2)) for part in found.parts} == {
        "nodes": (3, sum(node.monthly_cost_eur for node in fleet.nodes)),
        "proxies": (7, 14.0),
        "domains": (3, 6.0),
        "mailboxes": (48, 4.8),
        "controller": (1, 0.0),
    }
    assert found.monthly_eur == pytest.approx(sum(part.monthly_eur for part in found.parts))


def test_the_lower_cap_of_mailbox_and_egress_binds_the_volume() -> None:
    by_mailbox = parse(render(3, 48, settings={"limits": "{mailbox_per_day: 20}"}), "x").inventory
    assert allowed_per_day(by_mailbox) == 48 * 20
    by_egress = parse(render(3, 48, settings={"limits": "{egress_per_day: 100}"}), "x").inventory
    assert allowed_per_day(by_egress) == 7 * 100


def test_what_was_really_delivered_takes_the_place_of_the_caps() -> None:
    found = bill(parse(render(3, 48, settings={"costs": _PRICES}), "x").inventory, 1000)
    assert found.per_thousand_eur == pytest.approx(found.monthly_eur)
    nothing = parse(render(3, 48, settings={"limits": "{mailbox_per_day: 0}"}), "x").inventory
    assert bill(nothing).per_thousand_eur is None


def test_the_command_shows_the_reference_fleet_and_a_grown_one_side_by_side() -> None:
    ran = CliRunner().invoke(app, ["cost"])
    assert ran.exit_code == 0
    assert "REFERENCE, 1,200 MAILBOXES  GROWN, 5,000 MAILBOXES" in ran.stdout
    missing = CliRunner().invoke(app, ["cost", "nothing.yaml"])
    assert missing.exit_code == 1
    assert "cannot read" in missing.stderr
