"""The new host key goes where the inventory looks for it; what is the operator's is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from inventory import load
from provisioning.options import Options, nodes_of
from provisioning.repin import key_as_written, still_to_write, write_key

OLD = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKCtUMQhOkkMCNwirQdtRlCLW1Ug"
NEW = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINEWNEWNEWNEWNEWNEWNEWNEWNEW"
GOOD = Path(__file__).resolve().parents[1] / "inventory" / "good.yaml"


def options(tmp_path: Path) -> Options:
    """The good inventory: n1's key in a file, n2's in the inventory itself."""
    text = GOOD.read_text().replace("host_key: file:host-keys/n2", f"host_key: {OLD}")
    (tmp_path / "fleet.yaml").write_text(text)
    for node in load.load(tmp_path / "fleet.yaml").inventory.nodes:
        if node.host_key.startswith("file:"):
            file = tmp_path / node.host_key.removeprefix("file:")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{OLD} as the provider's panel shows it\n")
    return Options(inventory=str(tmp_path / "fleet.yaml"))


def test_a_key_in_a_file_is_written_there_and_nothing_is_left_to_do(tmp_path: Path) -> None:
    given = options(tmp_path)
    (node, access), _ = nodes_of(given, {})
    assert still_to_write(node.id, access, given) == []
    file = Path(write_key(node, NEW, given))
    assert file.read_text() == f"{NEW}\n"
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []
    assert key_as_written(node.id, given).host_key == NEW
    assert still_to_write(node.id, replace(access, host_key=NEW), given) == []
    (order,) = still_to_write(node.id, access, given)
    assert order == f"write into {file}: {OLD}"


def test_the_inventory_itself_is_left_alone_and_its_lines_are_named(tmp_path: Path) -> None:
    given = options(tmp_path)
    before = Path(given.inventory).read_text()
    _, (node, access) = nodes_of(given, {})
    assert write_key(node, NEW, given) == ""
    moved = replace(access, host="203.0.113.99", host_key=NEW)
    address, key = still_to_write(node.id, moved, given)
    assert address.endswith(f"write `address: 203.0.113.99` instead of `address: {access.host}`")
    assert key == f"in {given.inventory}, node {node.id}: write `host_key: {NEW}`"
    assert Path(given.inventory).read_text() == before
