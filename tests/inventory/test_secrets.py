"""Secrets are found by reference, checked where they are used, and never repeated in messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from inventory.errors import InventoryError
from inventory.load import Loaded, load
from inventory.secrets import host_key, references, resolve

_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF"


@pytest.fixture
def loaded() -> Loaded:
    return load(Path(__file__).parent / "good.yaml")


@pytest.fixture
def secrets_dir(tmp_path: Path) -> Path:
    (tmp_path / "passwords").mkdir()
    (tmp_path / "host-keys").mkdir()
    (tmp_path / "passwords/acme").write_text("s3cret with spaces\n")
    (tmp_path / "host-keys/n1").write_text(f"{_KEY} root@n1\n")
    (tmp_path / "host-keys/n2").write_text(_KEY)
    return tmp_path


def test_files_and_environment_are_resolved(loaded: Loaded, secrets_dir: Path) -> None:
    secrets = resolve(loaded, secrets_dir, {"BETA_PASSWORD": "beta"})
    assert secrets["file:passwords/acme"] == "s3cret with spaces"
    assert secrets["env:BETA_PASSWORD"] == "beta"
    assert host_key("file:host-keys/n1", secrets) == _KEY
    assert host_key(_KEY, secrets) == _KEY
    assert {use.reference for use in references(loaded.inventory)} == set(secrets)


def test_all_missing_secrets_are_named_at_once(loaded: Loaded, tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as refused:
        resolve(loaded, tmp_path, {})
    assert [problem.path for problem in refused.value.problems] == [
        "egresses[0].exit.password",
        "egresses[1].exit.password",
        "nodes[0].host_key",
        "nodes[1].host_key",
    ]
    assert "cannot read" in refused.value.problems[0].message
    assert refused.value.problems[1].message == (
        "the environment variable BETA_PASSWORD is not set"
    )
    assert refused.value.problems[2].line == 28


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "holds 0 octets"),
        ("x" * 256, "holds 256 octets"),
        ("top\nsecret", "holds control characters"),
    ],
)
def test_a_password_no_proxy_can_take_is_refused_without_showing_it(
    loaded: Loaded, secrets_dir: Path, password: str, words: str
) -> None:
    with pytest.raises(InventoryError, match=words) as refused:
        resolve(loaded, secrets_dir, {"BETA_PASSWORD": password})
    assert not password or password not in str(refused.value)


def test_a_host_key_file_that_holds_something_else_is_refused(
    loaded: Loaded, secrets_dir: Path
) -> None:
    (secrets_dir / "host-keys/n1").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(InventoryError, match="does not hold a public ssh host key") as refused:
        resolve(loaded, secrets_dir, {"BETA_PASSWORD": "beta"})
    assert "PRIVATE" not in str(refused.value)


def test_a_reference_used_in_many_places_is_one_mistake(tmp_path: Path) -> None:
    text = (Path(__file__).parent / "good.yaml").read_text()
    file = tmp_path / "same.yaml"
    file.write_text(text.replace("env:BETA_PASSWORD", "file:passwords/acme"))
    with pytest.raises(InventoryError) as refused:
        resolve(load(file), tmp_path, {})
    assert refused.value.problems[0].message.endswith("(and in 1 more places)")
