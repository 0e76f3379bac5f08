"""`postfleet campaign check` wants no controller and names everything that is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent


def check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controller.cli.main", "campaign", "check", *arguments],
        cwd=_HERE.parents[2], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{_HERE.parents[2]}/protos"},
    )  # fmt: skip


def copy(folder: Path, people: str) -> str:
    (folder / "people.csv").write_text(people)
    (folder / "c.yaml").write_text((_HERE / "good.yaml").read_text())
    return str(folder / "c.yaml")


def test_a_good_campaign_is_summed_up(tmp_path: Path) -> None:
    ran = check(tmp_path, str(_HERE / "good.yaml"), "--sample", "1")
    assert ran.returncode == 0, ran.stderr
    assert "--- rosa@reader.test, follow-up 2" in ran.stdout
    assert "2 recipients, 6 messages rendered" in ran.stdout


def test_bad_rows_are_named_by_line_column_and_reason(tmp_path: Path) -> None:
    header = "email,first_name,company,tz\n"
    rows = 'a@b.test,Ann,Quay,\nnobody,x,y,\nc@d.test,Cy,"Two\nlines",\n'
    file = copy(tmp_path, header + rows + "".join(f"bad{n},x,y,\n" for n in range(40)))
    ran = check(tmp_path, file)
    assert ran.returncode == 1
    assert ran.stdout == ""
    lines = ran.stderr.splitlines()
    people = f"{tmp_path}/people.csv"
    assert lines[0].endswith(f"{people}: line 3, column email: 'nobody': there is no @")
    assert lines[1].startswith(f"{people}: line 4: ")
    assert "the subject has a line end in it" in lines[1]
    assert lines[-2].endswith("… and 22 more rows")
    assert lines[-1] == "42 of 43 rows are bad; nothing was started"
    told = json.loads(check(tmp_path, file, "--json").stdout)
    assert (told["bad_count"], len(told["bad_rows"]), told["recipients"]) == (42, 42, 1)


def test_no_recipients_and_no_file(tmp_path: Path) -> None:
    ran = check(tmp_path, copy(tmp_path, "email,first_name,company,tz\n"))
    assert ran.returncode == 1
    assert "has no recipients" in ran.stderr
    ran = check(tmp_path, str(tmp_path / "none.yaml"))
    assert ran.returncode == 1
    assert "cannot read the campaign" in ran.stderr
