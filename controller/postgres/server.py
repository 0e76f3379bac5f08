"""Starts, adopts and stops the embedded server.

`start` is safe after any crash: a server that still runs is adopted, a dead one's remains are left
to PostgreSQL's own recovery, a half-made data directory is made anew (it is built beside its place
and renamed). `stop` is a fast shutdown: transactions end, a checkpoint is written.

Diagnostics: the server's own words are in <directory>/server.log and in the errors.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import structlog

from controller.postgres import account as accounts
from controller.postgres.binaries import Binaries, find_binaries
from controller.postgres.errors import (
    NotADataDirectory,
    PostgresError,
    StartFailed,
    StopFailed,
    WrongVersion,
)
from controller.postgres.settings import conf_text, hba_text, settings

_log = structlog.get_logger(__name__)
_USER = "postfleet"
_START_S = 60
_STOP_S = 60
_LOG_KEEP_BYTES = 16 * 1024 * 1024


class EmbeddedServer:
    """A server whose data live in `directory`/data. As a context manager: started within.

    `overrides` are settings of postgresql.conf that take the place of ours.
    """

    def __init__(
        self,
        directory: Path,
        binaries: Binaries | None = None,
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self.data = self.directory / "data"
        self.log = self.directory / "server.log"
        self._binaries = binaries
        self._overrides = dict(overrides or {})
        self._account = accounts.current()
        # A unix socket's path holds at most 107 bytes, so it cannot stand in the state directory.
        base = Path("/run") if self._account.drops else Path("/tmp")  # noqa: S108
        digest = hashlib.sha256(str(self.directory).encode()).hexdigest()[:12]
        self.runtime = base / f"postfleet-pg-{self._account.uid}-{digest}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def dsn(self, database: str = "postgres") -> str:
        """How a process of the same user, or root, reaches a database of this server."""
        return f"host={self.runtime / 'socket'} port=5432 user={_USER} dbname={database}"

    def pid(self) -> int | None:
        """The running server's process, or None."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None
        return pid if self._serves_us(pid) else None

    def _serves_us(self, pid: int) -> bool:
        # A pid file outlives a crash and its number may be anybody's by now: a server's working
        # directory is its data directory.
        process = Path("/proc", str(pid))
        try:
            dead = process.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "Z"
            return not dead and process.joinpath("cwd").samefile(self.data)
        except OSError:
            return False

    def start(self) -> None:
        """Makes the data directory where there is none, and the server run. Idempotent.

        Raises BinariesMissing, WrongVersion, NotADataDirectory, StartFailed.
        """
        if self._adopt():
            _log.info("embedded PostgreSQL runs already", directory=str(self.directory))
            return
        binaries = self._matching_binaries()
        self._make_runtime()
        try:
            if not self.data.exists():
                self._initialise(binaries)
            self._write_configuration(binaries)
            self._launch(binaries)
        except PostgresError:
            shutil.rmtree(self.runtime, ignore_errors=True)
            raise

    def stop(self, *, deadline_s: float = _STOP_S) -> None:
        """A fast, clean shutdown. Not running is no error. Raises StopFailed."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGINT)
            until = time.monotonic() + deadline_s
            # The pid file goes first; the process is what counts.
            while self._serves_us(pid):
                if time.monotonic() > until:
                    raise StopFailed(
                        f"PostgreSQL (pid {pid}, {self.data}) did not stop within {deadline_s} s; "
                        f"its log is {self.log}; nothing is lost, it may be asked again"
                    )
                time.sleep(0.02)
        shutil.rmtree(self.runtime, ignore_errors=True)

    def _adopt(self) -> bool:
        """Whether a server runs and answers. One that was just killed is waited for to be gone."""
        until = time.monotonic() + _START_S
        while (pid := self.pid()) is not None:
            if self._answers():
                return True
            if time.monotonic() > until:
                raise StartFailed(
                    f"PostgreSQL (pid {pid}, {self.data}) runs but does not answer on its socket "
                    f"in {self.runtime}; its log is {self.log}; end that process and start again"
                )
            time.sleep(0.05)
        return False

    def _answers(self) -> bool:
        # The socket of a dying process still takes connections; only a live one answers. SSLRequest
        # (PostgreSQL manual, "Message Formats") is answered with one octet.
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(self.runtime / "socket" / ".s.PGSQL.5432"))
                connection.sendall(struct.pack("!ii", 8, 80877103))
                return connection.recv(1) in (b"S", b"N")
        except OSError:
            return False

    def _matching_binaries(self) -> Binaries:
        version_file = self.data / "PG_VERSION"
        if not self.data.exists():
            return self._binaries or find_binaries()
        if not version_file.exists():
            raise NotADataDirectory(
                f"{self.data} is no PostgreSQL data directory (it has no PG_VERSION); "
                "nothing was touched; move it away or choose another --state-dir"
            )
        major = int(version_file.read_text().strip())
        if self._binaries is not None and self._binaries.major != major:
            raise WrongVersion(
                f"{self.data} was made by PostgreSQL {major}, {self._binaries.directory} is "
                f"{self._binaries.major}; nothing was touched; install postgresql-{major}, or "
                "move the data with pg_dump and pg_restore"
            )
        return self._binaries or find_binaries(major)

    def _make_runtime(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.runtime, ignore_errors=True)
        self.runtime.mkdir(mode=0o711)
        for name in ("socket", "data"):
            path = self.runtime / name
            path.mkdir(mode=0o700)
            self._give(path, self._account.uid)

    def _give(self, path: Path, uid: int) -> None:
        if self._account.drops:
            os.chown(path, uid, uid, follow_symlinks=False)

    def _give_tree(self, top: Path, uid: int) -> None:
        for folder, folders, names in os.walk(top):
            for name in (*folders, *names):
                self._give(Path(folder, name), uid)
        self._give(top, uid)

    def _initialise(self, binaries: Binaries) -> None:
        # Built where the account can certainly enter and moved when complete: a crash on the way
        # leaves nothing that looks like a data directory.
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        build = self._account.build_uid()
        self._give(unfinished, build)
        self._give(self.runtime / "data", build)
        command = self._account.command(
            binaries.path("initdb"), "-D", self._seen(unfinished), "-U", _USER, "--auth=trust",
            "--encoding=UTF8", "--locale=C", "--data-checksums", named=True,
        )  # fmt: skip
        answer = self._run(unfinished, command)
        if answer.returncode != 0:
            raise StartFailed(f"initdb failed in {self.directory}: {answer.stdout.strip()}")
        self._give_tree(unfinished, self._account.uid)
        self._give(self.runtime / "data", self._account.uid)
        unfinished.rename(self.data)

    def _seen(self, path: Path) -> str:
        """The path by which the account sees a directory of ours."""
        entered = accounts.can_enter(path, self._account)
        return str(path if entered else self.runtime / "data")

    def _run(self, directory: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
        if not accounts.can_enter(directory, self._account):
            command = accounts.bound(directory, self.runtime / "data", command)
        with self.log.open("a+b") as log:
            begin = log.seek(0, os.SEEK_END)
            answer = subprocess.run(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                cwd="/", env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"},
                start_new_session=True, check=False,
            )  # fmt: skip
            log.seek(begin)
            words = log.read(8192).decode(errors="replace")
        return subprocess.CompletedProcess(command, answer.returncode, words, "")

    def _write_configuration(self, binaries: Binaries) -> None:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        texts = {
            "postgresql.conf": conf_text(
                settings(binaries.major, memory, self.runtime / "socket") | self._overrides
            ),
            "pg_hba.conf": hba_text(),
        }
        for name, text in texts.items():
            new = self.data / f"{name}.new"
            new.write_text(text)
            new.chmod(0o600)
            self._give(new, self._account.uid)
            new.rename(self.data / name)

    def _launch(self, binaries: Binaries) -> None:
        if self.log.exists() and self.log.stat().st_size > _LOG_KEEP_BYTES:
            self.log.rename(self.log.with_suffix(".log.1"))
        command = self._account.command(
            binaries.path("pg_ctl"), "start", "-D", self._seen(self.data), "-w", "-t",
            str(_START_S), "-s",
        )  # fmt: skip
        # After a kill -9 of the server its children may live on for a moment and hold the
        # shared memory; PostgreSQL refuses until they are gone.
        until = time.monotonic() + _START_S
        while True:
            answer = self._run(self.data, command)
            if answer.returncode == 0:
                return
            busy = "shared memory block" in answer.stdout or "lock file" in answer.stdout
            if not busy or time.monotonic() > until:
                raise StartFailed(
                    f"PostgreSQL {binaries.major} did not start on {self.data} (log: {self.log}); "
                    f"it said: {answer.stdout.strip()[-2000:]}"
                )
            time.sleep(0.2)
