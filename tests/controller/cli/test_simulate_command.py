"""postfleet simulate: works without a controller."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller.cli.main import app
from controller.planner.limits import Caps, Limit
from inventory.reference import render

OWN = """\
version: 1
name: own
pacing: default
campaigns:
  - {name: news, client: harbor, recipients: 60}
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    inventory, scenario = tmp_path / "inventory.yaml", tmp_path / "own.yaml"
    inventory.write_text(render(3, 24))
    scenario.write_text(OWN)
    return str(inventory), str(scenario)


def test_json_has_the_cap_violations_and_the_series(files: tuple[str, str]) -> None:
    ran = CliRunner().invoke(
        app, ["simulate", "--days", "3", "--inventory", files[0], "--scenario", files[1], "--json"]
    )
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert (told["cap_violations"], told["mailboxes"], told["days"]) == (0, 24, 3)
    first = told["series"][0]
    assert first["date"] == "2026-03-02"
    assert first["by_stage"]["active"] == first["delivered"] > 50
    assert told["campaigns"][0]["finished"] is not None
    assert told["cost"]["per_message_eur"] > 0


def test_people_get_a_line_for_each_day_and_the_sum(files: tuple[str, str]) -> None:
    ran = CliRunner().invoke(
        app, ["simulate", "--days", "2", "--inventory", files[0], "--scenario", files[1]]
    )
    assert "2026-03-03 Tue" in ran.stdout
    assert "cap violations: 0" in ran.stdout
    assert "euros for 1,000 delivered" in ran.stdout


def test_a_passed_cap_is_told_and_ends_with_1(
    files: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cap = Caps.cap
    monkeypatch.setattr(
        Caps,
        "cap",
        lambda self, a: 10**6 if a.limit is Limit.MAILBOX_DAY else cap(self, a),
    )
    ran = CliRunner().invoke(app, ["simulate", "--days", "1", "--inventory", files[0]])
    assert ran.exit_code == 1
    assert "mailbox day" in ran.stdout


def test_mistakes_are_told_and_nothing_is_simulated(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(OWN.replace("harbor", "habor"))
    ran = CliRunner().invoke(app, ["simulate", "--scenario", str(wrong)])
    assert ran.exit_code == 1
    assert f"{wrong}:5: campaigns[0].client: 'habor': no such client" in ran.stderr
    assert "1 mistake; nothing was simulated" in ran.stderr
    missing = CliRunner().invoke(app, ["simulate", "--inventory", str(tmp_path / "no.yaml")])
    assert missing.exit_code == 1
    assert "cannot read the inventory" in missing.stderr


def test_it_is_drawn_and_a_plot_that_cannot_be_is_told_before_the_work(
    files: tuple[str, str], tmp_path: Path
) -> None:
    plot = tmp_path / "fleet.svg"
    ran = CliRunner().invoke(
        app, ["simulate", "--days", "2", "--inventory", files[0], "--plot", str(plot)]
    )
    assert ran.exit_code == 0
    assert plot.read_text().startswith("<svg ")
    wrong = CliRunner().invoke(app, ["simulate", "--plot", str(tmp_path / "fleet.jpg")])
    assert wrong.exit_code == 2
    assert "ends with .svg. Nothing was simulated" in wrong.stderr
    missing = CliRunner().invoke(app, ["simulate", "--plot", str(tmp_path / "no" / "f.svg")])
    assert missing.exit_code == 1
    assert "No such file or directory. Nothing was simulated" in missing.stderr
