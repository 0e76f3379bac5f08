"""A short run on the real thing: what it writes, and that nothing of it remains."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.bench.errors import BenchError
from lab.bench.ground import Ground
from lab.bench.rows_intake import _binary
from lab.settings import CHECKOUT

pytestmark = pytest.mark.root


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab.bench", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
    )


def namespaces() -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    return [line.split()[0] for line in listed.splitlines()]


def test_a_run_writes_its_rows_and_leaves_nothing_behind(tmp_path: Path):
    done = run("--only", "memory", "--json", str(tmp_path / "rows.json"))
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "rows.json").read_text())["results"]
    assert {"name", "value", "unit", "bar", "met"} <= row.keys()
    assert (row["name"], row["unit"]) == ("gateway memory, 500 connections", "MB")
    assert row["name"] in done.stdout
    assert "pfbench" not in namespaces()
    assert str(Ground().directory) not in Path("/proc/self/mounts").read_text()


def test_two_runs_at_one_time_do_not_take_each_others_ground_away():
    with Ground() as ground:
        with pytest.raises(BenchError, match="another measurement is running"), Ground():
            pass
        assert ground.namespace.run(["true"]).returncode == 0


def test_an_unknown_row_is_an_error_of_the_command_line():
    done = run("--only", "bananas")
    assert done.returncode == 2
    assert "bananas" in done.stderr


def test_copys_binary_format_has_a_header_the_rows_and_an_end():
    assert _binary([(b"ab",)]) == (
        b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\0\1" + b"\0\0\0\2ab" + b"\xff\xff"
    )


def test_a_measurement_of_scale_that_is_ended_leaves_nothing_behind(tmp_path: Path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen(
        [sys.executable, "-m", "lab.bench", "--only", "scale", "--seconds", "60"],
        cwd=CHECKOUT,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    deadline_s = time.monotonic() + 60
    while not processes_of(tmp_path, "scale_agents"):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    running.terminate()
    assert running.wait(timeout=60) == 143
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path, "") == []


def processes_of(directory: Path, word: str) -> list[str]:
    """Command lines that name something in the directory, and the word."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in lines if str(directory) in line and word in line]
