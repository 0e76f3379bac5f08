"""The reference fleet is what its generator writes, and any size of it keeps the rules."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import inventory
from inventory.load import load, parse
from inventory.reference import main, render

_FILE = Path(inventory.__file__).parent / "reference.yaml"


def test_the_committed_reference_fleet_is_what_the_generator_writes() -> None:
    assert _FILE.read_text() == render()


def test_the_reference_fleet_has_the_numbers_it_is_known_for() -> None:
    fleet = load(_FILE).inventory
    assert [client.id for client in fleet.clients] == ["harbor", "alpine", "lumen"]
    assert list(Counter(domain.client for domain in fleet.domains).values()) == [16, 12, 12]
    assert {len(domain.mailboxes) for domain in fleet.domains} == {30}
    assert list(Counter(egress.client for egress in fleet.egresses).values()) == [60, 45, 45]
    loads = Counter(box.egress for domain in fleet.domains for box in domain.mailboxes)
    assert set(loads.values()) == {8}
    assert [str(egress.public_ip) for egress in fleet.egresses] == [
        f"198.51.100.{number}" for number in range(1, 151)
    ]
    assert [str(node.address) for node in fleet.nodes] == [f"10.80.1.{n}" for n in range(1, 9)]
    assert all(160 <= node.capacity <= 200 for node in fleet.nodes)
    assert len({node.failure_domain for node in fleet.nodes}) >= 2


@settings(max_examples=40, deadline=None)
@given(nodes=st.integers(1, 40), mailboxes=st.integers(1, 1500))
def test_every_size_keeps_the_rules_and_survives_the_loss_of_a_node(
    nodes: int, mailboxes: int
) -> None:
    loaded = parse(render(nodes, mailboxes), "reference")
    fleet = loaded.inventory
    assert loaded.warnings == ()
    assert sum(len(domain.mailboxes) for domain in fleet.domains) == mailboxes
    loads = Counter(box.egress for domain in fleet.domains for box in domain.mailboxes)
    assert set(loads) == {egress.id for egress in fleet.egresses}
    assert max(loads.values()) <= 8


def test_another_lab_of_the_same_machine_has_its_own_addresses() -> None:
    fleet = parse(render(2, 24, lab_index=3), "reference").inventory
    assert [str(node.address) for node in fleet.nodes] == ["10.83.1.1", "10.83.1.2"]
    assert fleet.fleet.probe_target == "10.83.0.1:7444"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nodes", "0"], "nodes: 0; 1 to 10,000 are possible"),
        (["--mailboxes", "0"], "mailboxes: 0; 1 to 1,000,000 are possible"),
        (["--nodes", "1", "--mailboxes", "20000"], "1 nodes are too few for 20,000 mailboxes"),
    ],
)
def test_impossible_numbers_are_a_usage_error(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert words in capsys.readouterr().err
