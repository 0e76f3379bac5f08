"""An operator's rules come into force when their file changes, and only when they are proved."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.providers.table import open_table
from controller.replies import read_reply
from controller.shaping.proved import open_proved
from controller.store import Store
from controller.throttle.heard import Listener
from controller.throttle.reload import RulesReload
from tests.controller.small_fleet import sql

REPLY = read_reply("451 4.7.1 the moon is full")


def rule(action: str, sample: str = "451 4.7.1 the moon is full") -> str:
    return f"""
[[rule]]
name = "moon"
text = 'the moon is full'
action = "{action}"
{'for = "1h"' if action == "suspend" else "per_hour = 5" if action == "slow" else ""}
why = "a test"
source = ["a test"]
samples = ["{sample}"]
near_misses = ["451 4.7.1 the moon is new"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(rule("suspend"))
    return path


@pytest.fixture
def listener(file: Path) -> Listener:
    table = open_table()
    return Listener(open_proved(file, table.names), table)


def follows(listener: Listener) -> str:
    found = listener.book.first(REPLY, "mx.example.net")
    return found.action if found else "none"


async def audited(store: Store) -> list[str]:
    rows = await store.fetch_all(
        sql("SELECT action FROM audit WHERE subject = 'shaping/rules' ORDER BY id")
    )
    return [row["action"] for row in rows]


async def test_a_changed_file_is_taken_into_use_and_an_unchanged_one_is_not_read(
    store: Store, file: Path, listener: Listener
) -> None:
    reload = RulesReload(store, listener, file)
    assert "as they were" in await reload.run_cycle()
    file.write_text(rule("slow"))
    assert "in force" in await reload.run_cycle()
    assert follows(listener) == "slow"
    assert "as they were" in await reload.run_cycle()
    assert await audited(store) == ["reload-rules"]


@pytest.mark.parametrize("text", [rule("suspend", sample="451 4.7.1 no moon"), "not TOML", None])
async def test_what_is_not_proved_leaves_the_rules_before_in_force_and_is_told_once(
    text: str | None, store: Store, file: Path, listener: Listener
) -> None:
    reload = RulesReload(store, listener, file)
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    for _ in range(3):
        await reload.run_cycle()
    assert follows(listener) == "suspend"
    assert await audited(store) == ["refuse-rules"]
    # Mended: no restart is needed for that either.
    file.write_text(rule("nothing"))
    await reload.run_cycle()
    assert follows(listener) == "nothing"
    assert await audited(store) == ["refuse-rules", "reload-rules"]


async def test_a_file_that_is_replaced_by_another_of_the_same_size_is_seen(
    store: Store, file: Path, listener: Listener
) -> None:
    reload = RulesReload(store, listener, file)
    new = file.with_suffix(".new")
    new.write_text(file.read_text().replace("1h", "2h"))
    new.replace(file)
    assert "in force" in await reload.run_cycle()
