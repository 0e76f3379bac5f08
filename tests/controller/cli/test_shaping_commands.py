"""postfleet shaping: works without a controller."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controller.cli.main", "shaping", *arguments],
        capture_output=True, text=True, check=False, env={"PATH": "/usr/bin", "HOME": "/nowhere"},
    )  # fmt: skip


def test_the_shipped_rules_hold() -> None:
    ran = _run("check")
    assert ran.returncode == 0, ran.stderr
    assert "rules hold" in ran.stdout


def test_mistakes_are_told_all_at_once_with_lines(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[[rule]]\nname = "x"\naction = "slwo"\ncolor = "red"\n')
    ran = _run("check", str(own))
    assert ran.returncode == 1
    assert f"{own}:3: rule[0].action: 'slwo': must be one of slow" in ran.stderr
    assert f"{own}:4: rule[0].color: unknown" in ran.stderr
    assert f"{own}:1: rule[0].samples: is required" in ran.stderr


def test_a_rule_that_hides_a_shipped_one_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[[rule]]\nname = "mine"\nprovider = ["google"]\ntext = "unusual rate"\n'
        'action = "nothing"\nwhy = "w"\nsource = ["s"]\n'
        'samples = ["421 an unusual rate"]\nnear_misses = ["421 no"]\n'
    )
    ran = _run("check", str(own), "--json")
    assert ran.returncode == 1
    found = json.loads(ran.stdout)["problems"]
    assert {each["rule"] for each in found} == {"google-unusual-rate",
                                                "google-unusual-rate-of-domain"}  # fmt: skip
    assert all("meets rule mine" in each["problem"] for each in found)


def test_a_reply_is_explained() -> None:
    ran = _run(
        "explain", "host gmail-smtp-in.l.google.com[192.0.2.1] said: 421-4.7.28 Our system has "
        "detected an unusual rate of 421 4.7.28 unsolicited mail (in reply to end of DATA command)",
        "--json",
    )  # fmt: skip
    told = json.loads(ran.stdout)
    assert (told["provider"], told["rule"], told["scope"]) == (
        "google", "google-unusual-rate", "reputation"
    )  # fmt: skip
    assert not told["suppresses"]
    ours = _run("explain", "421 4.3.2 postfleet: px001 lease: no lease", "--provider", "google")
    assert "gateway" in ours.stdout
    assert "none fires" in ours.stdout


def test_the_rules_are_listed() -> None:
    rules = json.loads(_run("list", "--provider", "yandex", "--json").stdout)
    assert {"yandex-suspicion-of-spam", "greylisting"} <= {each["name"] for each in rules}
    assert "google-unusual-rate" not in {each["name"] for each in rules}
