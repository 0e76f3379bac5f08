"""Flags before environment before defaults; nodes by name; host keys resolved, passwords not."""

from __future__ import annotations

from pathlib import Path

import pytest

from inventory import load
from provisioning.errors import ProvisioningError
from provisioning.options import Options, nodes_of

GOOD = Path(__file__).resolve().parents[1] / "inventory" / "good.yaml"


def test_flags_win_over_the_environment() -> None:
    options = Options(inventory="flag.yaml").with_environment(
        {"POSTFLEET_INVENTORY": "env.yaml", "POSTFLEET_CONTROLLER": "c:1", "POSTFLEET_SSH_KEY": "k"}
    )
    assert options.inventory == "flag.yaml"
    assert options.controller == "c:1"
    assert options.key_files == ("k",)


def inventory_with_keys(tmp_path: Path) -> Options:
    """The good inventory with every host key beside it, and no password anywhere."""
    (tmp_path / "inventory.yaml").write_text(GOOD.read_text())
    for node in load.load(GOOD).inventory.nodes:
        if node.host_key.startswith("file:"):
            file = tmp_path / node.host_key.removeprefix("file:")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKCtUMQhOkkMCNwirQdtRlCLW1Ug x\n")
    return Options(inventory=str(tmp_path / "inventory.yaml"))


def test_whoever_provisions_needs_host_keys_and_no_proxy_passwords(tmp_path: Path) -> None:
    found = nodes_of(inventory_with_keys(tmp_path), {})
    assert [node.id for node, _ in found] == [n.id for n in load.load(GOOD).inventory.nodes]
    assert all(access.host_key.count(" ") == 1 for _, access in found)


def test_an_unknown_node_is_named_with_those_there_are(tmp_path: Path) -> None:
    options = inventory_with_keys(tmp_path)
    options = Options(inventory=options.inventory, node="n1,nope")
    with pytest.raises(ProvisioningError, match=r"no node nope.* it has n1"):
        nodes_of(options, {})


def test_a_missing_inventory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProvisioningError, match="cannot read the inventory"):
        nodes_of(Options(inventory=str(tmp_path / "none.yaml")), {})


def test_metrics_listen_on_a_private_address_and_never_by_themselves_on_a_public_one() -> None:
    node = load.load(GOOD).inventory.nodes[0]
    private = node.model_copy(update={"address": "10.0.0.5"}).model_validate(
        {**node.model_dump(mode="json"), "address": "10.0.0.5"}
    )
    public = node.model_validate({**node.model_dump(mode="json"), "address": "8.8.8.8"})
    assert Options().metrics_listen(private) == "10.0.0.5:9601"
    assert Options().metrics_listen(public) == "127.0.0.1:9601"
    assert Options(metrics_address="192.0.2.9").metrics_listen(public) == "192.0.2.9:9601"
