"""The guard on a file tree of its own: what it goes by, what it leaves behind, when it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from node_agent.apply import guard as guarding
from node_agent.apply.guard import GuardFailed, guard
from node_agent.apply.layout import Layout
from tests.apply.specs import good_spec
from tests.apply.test_suspects import file

# Long queue ids, as Postfix makes them.
ACTIVE, INCOMING, OTHER, DEFERRED = (f"4jZVHb3Ds7znnQ{end}" for end in "qrst")


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A node with mail of px001 and px002, of which only px001 has a mark; no gateway answers."""
    monkeypatch.setattr(guarding, "AGENT_USER", "root")
    (tmp_path / "run").mkdir()
    made = Layout(tmp_path)
    for name in ("active", "incoming", "deferred/4", "hold", "pid"):
        (made.queue / name).mkdir(parents=True)
    mail = {
        f"active/{ACTIVE}": "m1-0+0123@acme.test",
        f"incoming/{INCOMING}": "m1-1@acme.test",
        f"active/{OTHER}": "m2-0@acme.test",
        f"deferred/4/{DEFERRED}": "m1-0@acme.test",
    }
    for path, sender in mail.items():
        (made.queue / path).write_bytes(file("Rx@b.test", sender=sender))
    generation = made.generations / "1-aaaa"
    generation.mkdir(parents=True)
    (generation / "applied.spec").write_bytes(good_spec().SerializeToString())
    made.current.symlink_to("generations/1-aaaa")
    marks = tmp_path / "var/lib/postfleet-gateway/in-use"
    marks.mkdir(parents=True)
    (marks / "px001").touch()
    return made


def held(layout: Layout) -> set[str]:
    return {path.name for path in (layout.queue / "hold").iterdir()}


def ran(layout: Layout) -> Path:
    return layout.root / "run/postfleet-guard/ran"


def test_after_a_power_loss_the_marks_decide_over_active_and_incoming(layout: Layout) -> None:
    said = guard(layout, has_ended=False)
    assert said.startswith("the machine stopped without warning; egresses at risk: px001; held: 2")
    assert held(layout) == {ACTIVE, INCOMING}
    report = layout.root / "var/lib/postfleet-guard/held" / ACTIVE
    assert report.read_text() == (
        "the machine stopped without warning while a connection of egress px001 may have been "
        "open: maybe sent"
    )
    assert (layout.queue / "deferred/4" / DEFERRED).exists()
    assert (layout.queue / "active" / OTHER).exists()
    assert ran(layout).exists()


def test_in_the_same_boot_only_the_active_queue_is_looked_at(layout: Layout) -> None:
    ran(layout).parent.mkdir()
    ran(layout).touch()
    guard(layout, has_ended=True)
    assert held(layout) == {ACTIVE}


def test_what_was_seen_to_at_the_end_is_not_looked_at_again_unless_postfix_ran(
    layout: Layout,
) -> None:
    master = layout.master_pid
    master.write_text("1")
    os.utime(master, (1, 1))
    (layout.root / "var/lib/postfleet-gateway/in-use/px001").unlink()
    assert "egresses at risk: none" in guard(layout, has_ended=True)
    (layout.root / "var/lib/postfleet-gateway/in-use/px001").touch()
    os.utime(master, (2**33, 2**33))
    guard(layout, has_ended=False)
    assert held(layout) == {ACTIVE}, "`postfix start` by hand"
    (layout.queue / "hold" / ACTIVE).rename(layout.queue / "active" / ACTIVE)
    guard(layout, has_ended=True)
    (layout.queue / "hold" / ACTIVE).rename(layout.queue / "active" / ACTIVE)
    os.utime(master, (1, 1))
    assert "was seen to" in guard(layout, has_ended=False)
    assert held(layout) == set()
    # the stamp is for one start
    guard(layout, has_ended=False)
    assert held(layout) == {ACTIVE}


def test_a_failure_stops_postfix_and_keeps_the_marks(layout: Layout) -> None:
    ran(layout).parent.mkdir()
    ran(layout).touch()
    (layout.queue / "hold").rmdir()
    with pytest.raises(GuardFailed):
        guard(layout, has_ended=True)
    assert not ran(layout).exists()
    (layout.queue / "hold").mkdir()
    assert "without warning" in guard(layout, has_ended=False), "it does not rely on the gateway"
    assert held(layout) == {ACTIVE, INCOMING}


def test_while_postfix_runs_nothing_is_touched(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding.postfix_master, "pid", lambda _layout: 1)
    assert "runs" in guard(layout, has_ended=False)
    assert held(layout) == set()
    assert not ran(layout).exists()


def test_reports_go_when_their_files_are_released_or_deleted(layout: Layout) -> None:
    guard(layout, has_ended=False)
    (layout.queue / "hold" / INCOMING).unlink()
    (layout.root / "var/lib/postfleet-gateway/in-use/px001").unlink()
    guard(layout, has_ended=False)
    reports = layout.root / "var/lib/postfleet-guard/held"
    assert {path.name for path in reports.iterdir()} == {ACTIVE}


def test_a_sender_that_moved_is_looked_for_in_the_generation_before(layout: Layout) -> None:
    spec = good_spec(2)
    spec.egresses[0].mailboxes[:] = ["else@acme.test"]
    spec.egresses[1].mailboxes.append("m1-0@acme.test")
    generation = layout.generations / "2-bbbb"
    generation.mkdir()
    (generation / "applied.spec").write_bytes(spec.SerializeToString())
    layout.previous.symlink_to("generations/1-aaaa")
    layout.current.unlink()
    layout.current.symlink_to("generations/2-bbbb")
    guard(layout, has_ended=False)
    assert ACTIVE in held(layout)
    assert OTHER not in held(layout)
