"""One machine over ssh, by Fabric and paramiko: run a script as root, put a file, read an answer.

The machine must show the host key that the inventory pins: it is loaded before the connection is
opened, and unknown or other keys are refused (Fabric by itself accepts any). Nothing is decided
here.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import paramiko
from fabric import Connection  # type: ignore[import-untyped]
from paramiko.hostkeys import HostKeyEntry

from provisioning.errors import ConnectionFailed, WrongHostKey

# also the time for the handshake, which a busy machine needs
CONNECT_TIMEOUT_S = 30
TRIES = 3
# a connection whose other end is gone ends after some of these
KEEPALIVE_S = 15


@dataclass(frozen=True)
class Access:
    """How to reach a machine. `host_key`: "ssh-ed25519 AAAA…"; `key_files` empty: ssh agent."""

    node_id: str
    host: str
    port: int
    user: str
    host_key: str
    key_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a script printed, and how it ended (0: well)."""

    status: int
    stdout: str
    stderr: str


class Machine:
    """An open connection; use it in a `with`. `tries`: while the network refuses or is silent."""

    def __init__(
        self, access: Access, *, tries: int = TRIES, timeout_s: int = CONNECT_TIMEOUT_S
    ) -> None:
        self._access = access
        self._tries = tries
        self._connection = _prepare(access, timeout_s)
        self._folder = ""

    def __enter__(self) -> Machine:
        for number in range(self._tries):
            try:
                self._connection.open()
                break
            except Exception as error:
                if number == self._tries - 1 or not _is_of_the_network(error):
                    kind = WrongHostKey if _is_wrong_key(error) else ConnectionFailed
                    raise kind(_words(self._access, error)) from error
                time.sleep(1 + number)
        transport = self._connection.transport
        assert transport is not None
        transport.set_keepalive(KEEPALIVE_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._folder:
                self.run(f"rm -rf {shlex.quote(self._folder)}")
        except ConnectionFailed:
            pass  # what it was about failed already, and /tmp is emptied at boot
        finally:
            self._connection.close()

    def run(self, script: str) -> Answer:
        """Run a shell script as root (`set -eu`). Raises ConnectionFailed when the line breaks."""
        words: Sequence[str] = ["sh", "-euc", script]
        if self._access.user != "root":
            words = ["sudo", "-n", *words]
        try:
            done = self._connection.run(shlex.join(words), hide=True, warn=True, in_stream=False)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise ConnectionFailed(_words(self._access, error)) from error
        return Answer(done.exited, done.stdout, done.stderr)

    def put(self, source: Path | bytes) -> str:
        """Upload into a private folder in /tmp, removed at the end; returns the path there."""
        try:
            if not self._folder:
                made = self._connection.run("mktemp -d /tmp/postfleet.XXXXXXXX", hide=True)
                self._folder = made.stdout.strip()
            number = f"{time.monotonic_ns()}"
            path = f"{self._folder}/{number}"
            if isinstance(source, bytes):
                self._send(BytesIO(source), path)
            else:
                with source.open("rb") as file:
                    self._send(file, path)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise ConnectionFailed(_words(self._access, error)) from error
        return path

    def _send(self, file: BinaryIO, path: str) -> None:
        self._connection.sftp().putfo(file, path)


def _prepare(access: Access, timeout_s: int) -> Connection:
    options: dict[str, object] = {"banner_timeout": 60, "auth_timeout": 60}
    if access.key_files:
        options |= {"key_filename": list(access.key_files), "look_for_keys": False}
    connection = Connection(
        host=access.host,
        user=access.user,
        port=access.port,
        connect_timeout=timeout_s,
        connect_kwargs=options,
    )
    client = connection.client
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    name = access.host if access.port == 22 else f"[{access.host}]:{access.port}"
    entry = HostKeyEntry.from_line(f"{name} {access.host_key}")
    if entry is None or entry.key is None:
        raise ConnectionFailed(
            f"{access.node_id}: its host_key in the inventory is no ssh key: {access.host_key!r}"
        )
    client.get_host_keys().add(name, entry.key.get_name(), entry.key)
    return connection


def _is_of_the_network(error: Exception) -> bool:
    """A machine that still boots refuses, is silent or breaks off; a wrong key stays wrong."""
    if isinstance(error, paramiko.AuthenticationException) or _is_wrong_key(error):
        return False
    return isinstance(error, (OSError, EOFError, paramiko.SSHException))


def _is_wrong_key(error: Exception) -> bool:
    unknown = "not found in known_hosts" in str(error)
    return unknown or isinstance(error, paramiko.BadHostKeyException)


def _words(access: Access, error: Exception) -> str:
    where = f"{access.node_id} ({access.user}@{access.host}, port {access.port})"
    if _is_wrong_key(error):
        return (
            f"{where} shows another ssh host key than the inventory pins, so it may be another "
            "machine; nothing was changed. If it was reinstalled, take the new key from the "
            f"provider's console (not from the network) and put it into its host_key"
        )
    if isinstance(error, paramiko.AuthenticationException):
        return (
            f"{where} does not let our ssh key in; nothing was changed. Name the key with "
            "`fab -i FILE …` or load it into the ssh agent, and check authorized_keys there"
        )
    return (
        f"{where} does not answer as it should: {error!r}. What was done there so far holds; run "
        "it again when the machine answers"
    )
