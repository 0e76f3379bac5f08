"""Every file in bad/ is refused with exactly the words in its .expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from inventory.errors import InventoryError
from inventory.load import load, parse

_HERE = Path(__file__).parent
_BAD = sorted((_HERE / "bad").glob("*.yaml"))


@pytest.mark.parametrize("file", _BAD, ids=lambda file: file.stem)
def test_a_bad_inventory_is_refused_in_these_words(file: Path) -> None:
    with pytest.raises(InventoryError) as refused:
        parse(file.read_text(), file.name)
    assert f"{refused.value}\n" == file.with_suffix(".expected").read_text()


def test_every_expectation_has_its_inventory() -> None:
    assert len(_BAD) > 60
    expected = {file.stem for file in (_HERE / "bad").glob("*.expected")}
    assert expected == {file.stem for file in _BAD}


def test_the_inventory_the_bad_ones_were_made_from_is_good() -> None:
    loaded = load(_HERE / "good.yaml")
    assert [len(domain.mailboxes) for domain in loaded.inventory.domains] == [2, 1]
    assert loaded.warnings == ()


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InventoryError, match=r"nowhere\.yaml: cannot read the inventory: No such"):
        load(Path("nowhere.yaml"))


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "latin1.yaml"
    file.write_bytes(b"version: 1\nfleet: {name: caf\xe9}\n")
    with pytest.raises(InventoryError, match=r"is not UTF-8 text: octet 28 is 0xe9"):
        load(file)


def test_a_password_written_into_the_file_is_not_repeated() -> None:
    text = (_HERE / "good.yaml").read_text().replace("file:passwords/acme", "hunter2")
    with pytest.raises(InventoryError) as refused:
        parse(text, "x")
    assert "hunter2" not in str(refused.value)
