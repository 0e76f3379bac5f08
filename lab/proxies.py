"""The lab's SOCKS5 proxies: one Dante for all exit addresses, users and passwords per client.

The proxies have a namespace of their own with one address each (198.51.100.1, .2, …). One proxy is
switched off and on by nft in that namespace, which also breaks its open connections; its password
is the client's, changed for all proxies of that client at once.
"""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from inventory.reference import OWNERS, exit_address
from lab.errors import LabError
from lab.network import Network
from lab.network_namespace import Namespace, Process
from lab.priority import first
from lab.proxies_config import (
    PORT,
    Account,
    dante_config,
    passwd_file,
    shadow_file,
    start_script,
    stop_rules,
)
from lab.proxies_log import Connection, read_log

if TYPE_CHECKING:
    from lab.lab import Lab

PART = "proxies"
PASSWORDS = "proxy-passwords"
_DANTE_PROCESSES = 2
_START_TIMEOUT_S = 20.0


def start(lab: Lab) -> Proxies:
    """Starts a lab's proxies (`lab.services`): as many as its settings say, one user per client of
    the reference inventory, the addresses and secret files that it names."""
    addresses = [str(exit_address(n)) for n in range(1, lab.settings.proxies + 1)]
    users = [owner.id for owner in OWNERS]
    return Proxies.start(
        lab.network, lab.directory / "proxies", lab.directory / "secrets", addresses, users
    )


def attach(lab: Lab) -> Proxies:
    """The proxies of a lab that stands."""
    return Proxies.attach(lab.network, lab.directory / "proxies", lab.directory / "secrets")


class Proxies:
    """The proxies of one lab. `start` makes them, `attach` takes up those that stand."""

    def __init__(self, network: Network, folder: Path, passwords: Path) -> None:
        self._namespace: Namespace = network.namespace(PART)
        self._folder = folder
        self._passwords = passwords
        self.process: Process | None = None

    @classmethod
    def start(
        cls,
        network: Network,
        folder: Path,
        secrets_folder: Path,
        addresses: list[str],
        users: list[str],
    ) -> Proxies:
        """Starts Dante on the addresses, with a random password for each user.

        The passwords are written to `secrets_folder`/proxy-passwords/USER for the inventory.
        Raises LabError with Dante's last words.
        """
        passwords = secrets_folder / PASSWORDS
        passwords.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(parents=True, exist_ok=True)
        network.attach(PART, [f"{address}/32" for address in addresses])
        proxies = cls(network, folder, passwords)
        for user in users:
            proxies._keep(user, secrets.token_urlsafe(18))
        (folder / "passwd").write_text(passwd_file(users))
        (folder / "stopped").write_text("")
        proxies._write_shadow()
        (folder / "dante.conf").write_text(dante_config(proxies.log, addresses))
        script = start_script(folder, _DANTE_PROCESSES)
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
        proxies.process = proxies._namespace.popen(first(argv), log="dante")
        proxies._wait(addresses)
        return proxies

    @classmethod
    def attach(cls, network: Network, folder: Path, secrets_folder: Path) -> Proxies:
        """The proxies that were started for this lab, perhaps by another process."""
        return cls(network, folder, secrets_folder / PASSWORDS)

    @property
    def log(self) -> Path:
        """Dante's own log."""
        return self._folder / "dante.log"

    def connections(self) -> Iterator[Connection]:
        """What Dante saw so far: an account that no part of postfleet wrote."""
        return read_log(self.log)

    def password(self, user: str) -> str:
        """The user's password as the inventory's secret file has it."""
        return (self._passwords / user).read_text()

    def set_password(self, user: str, password: str, *, tell: bool = False) -> None:
        """Changes what the proxies demand; with `tell` the inventory's secret file too."""
        if tell:
            self._keep(user, password)
        self._write_shadow({user: password})

    def stop(self, address: str) -> None:
        """Switches the proxy at this address off: connections are refused, open ones break."""
        self._set_stopped(self.stopped | {address})

    def resume(self, address: str) -> None:
        """Switches it on again."""
        self._set_stopped(self.stopped - {address})

    @property
    def stopped(self) -> set[str]:
        """The addresses whose proxies are switched off."""
        return set((self._folder / "stopped").read_text().split())

    def _set_stopped(self, stopped: set[str]) -> None:
        self._namespace.run(["nft", "-f", "-"], stdin=stop_rules(sorted(stopped)))
        (self._folder / "stopped").write_text("\n".join(sorted(stopped)))

    def _keep(self, user: str, password: str) -> None:
        path = self._passwords / user
        path.touch(mode=0o600)
        path.write_text(password)

    def _write_shadow(self, changed: dict[str, str] | None = None) -> None:
        """Rewrites the file in place: Dante sees it by a bind mount, which follows the inode."""
        users = sorted(path.name for path in self._passwords.iterdir())
        known = {user: self.password(user) for user in users} | (changed or {})
        hashes = _hash(list(known.values()))
        accounts = [Account(*pair) for pair in zip(known, hashes, strict=True)]
        path = self._folder / "shadow"
        path.touch(mode=0o600)
        path.write_text(shadow_file(accounts))

    def _wait(self, addresses: list[str]) -> None:
        """Dante binds its addresses one by one, in order: the last one answers last."""
        assert self.process is not None
        probe = f"exec 3<>/dev/tcp/{addresses[-1]}/{PORT}"
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self._namespace.run(["bash", "-c", probe], check=False).returncode:
            if not self.process.alive or time.monotonic() > deadline:
                words = self.log.read_text()[-2000:] if self.log.exists() else ""
                raise LabError(
                    f"Dante does not answer on {addresses[-1]}:{PORT}; it said:\n"
                    f"{words}{self.process.log_tail()}"
                )
            time.sleep(0.05)


def _hash(passwords: list[str]) -> list[str]:
    """crypt(3) MD5 hashes: weak, and quick enough to be checked hundreds of times a second."""
    done = subprocess.run(
        ["openssl", "passwd", "-1", "-stdin"],
        input="\n".join(passwords) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()
