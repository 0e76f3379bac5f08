"""The journal of what a lab leaves: written first, undone in reverse, never somebody else's."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.traces import Trace, Traces, is_alive, signal_exactly, start_time


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_a_recorded_process_is_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    traces = Traces(tmp_path / "traces")
    traces.note("process", str(sleeper.pid), start_time(sleeper.pid) or "")
    assert traces.undo_all() == []
    assert start_time(sleeper.pid) is None
    assert not (tmp_path / "traces").exists()


def test_a_process_that_only_has_the_same_pid_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    traces = Traces(tmp_path / "traces")
    traces.note("process", str(sleeper.pid), "12345")
    assert traces.undo_all() == []
    assert sleeper.poll() is None
    assert not signal_exactly(sleeper.pid, "12345", signal.SIGKILL)


def test_a_process_that_ignores_sigterm_is_ended_all_the_same(tmp_path: Path) -> None:
    stubborn = subprocess.Popen(["sh", "-c", "trap '' TERM; echo; while :; do sleep 1; done"],
                                stdout=subprocess.PIPE)  # fmt: skip
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    traces = Traces(tmp_path / "traces")
    traces.note("process", str(stubborn.pid), start_time(stubborn.pid) or "")
    assert traces.undo_all() == []
    assert start_time(stubborn.pid) is None
    stubborn.wait()
    stubborn.stdout.close()


def test_a_zombie_counts_as_gone() -> None:
    child = subprocess.Popen(["true"])
    started = ""
    while start_time(child.pid) is not None:
        started = start_time(child.pid) or started
    assert not is_alive(child.pid, started)
    child.wait()


def test_a_line_torn_by_a_crash_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "traces"
    traces = Traces(path)
    traces.note("netns", "pf-none-x")
    with path.open("a") as file:
        file.write('{"kind": "mount", "wh')
    assert traces.all() == [Trace("netns", "pf-none-x")]


def test_undoing_what_was_never_made_is_no_failure(tmp_path: Path) -> None:
    traces = Traces(tmp_path / "traces")
    traces.note("netns", "pf-never-made")
    traces.note("link", "pfnever0")
    traces.note("cgroup", str(tmp_path / "none"))
    traces.note("mount", str(tmp_path / "none"))
    assert traces.undo_all() == []


def test_a_name_is_claimed_once_and_its_directory_goes_last(tmp_path: Path) -> None:
    directory, traces = tmp_path / "lab", Traces(tmp_path / "journal")
    traces.begin(directory)
    directory.mkdir()
    (directory / "file").touch()
    traces.note("netns", "pf-never-made")
    assert traces.directory() == directory
    with pytest.raises(FileExistsError):
        traces.begin(tmp_path / "another checkout")
    assert traces.undo_all() == []
    assert not directory.exists()
    assert traces.directory() is None


def test_what_resists_is_named_and_kept_for_the_next_try(tmp_path: Path) -> None:
    stuck = tmp_path / "cgroup"
    stuck.mkdir()
    (stuck / "file").touch()
    traces = Traces(tmp_path / "traces")
    traces.note("unheard-of", "x")
    assert traces.undo_all() == ["unheard-of x: 'unheard-of'"]
    assert traces.all() == [Trace("unheard-of", "x")]


def test_the_directory_stays_while_anything_resists(tmp_path: Path) -> None:
    directory, traces = tmp_path / "lab", Traces(tmp_path / "journal")
    traces.begin(directory)
    directory.mkdir()
    traces.note("unheard-of", "x")
    _, left = traces.undo_all()
    assert left == f"directory {directory}: left as it is, for the rest still stands"
    assert directory.exists()
    assert traces.directory() == directory


@pytest.mark.root
def test_nothing_is_deleted_through_a_mount_that_resists(tmp_path: Path) -> None:
    directory, traces = tmp_path / "lab", Traces(tmp_path / "journal")
    outside, mounted = tmp_path / "outside", directory / "mounted"
    outside.mkdir()
    (outside / "precious").touch()
    traces.begin(directory)
    mounted.mkdir(parents=True)
    traces.note("mount", str(mounted))
    subprocess.run(["mount", "--bind", outside, mounted], check=True)
    busy = subprocess.Popen(["sleep", "600"], cwd=mounted)
    try:
        resisting, _ = traces.undo_all()
        assert resisting.startswith(f"mount {mounted}: ")
        assert (outside / "precious").exists()
    finally:
        busy.kill()
        busy.wait()
        again = traces.undo_all()
    assert again == []
    assert not directory.exists()
    assert (outside / "precious").exists()
