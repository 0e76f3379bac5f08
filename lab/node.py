"""A node: a Debian machine of its own in a network namespace, booted by systemd-nspawn.

Its root is an overlay over the release's base image: what it writes stays in its directory over
power cuts and boots, as a disk does. It is reached by ssh like any VPS; `run` is the provider's
console (nsenter), which works also when its network is cut. `kill` is the power going off at
once, `power_off` an orderly shutdown, `boot` the power button.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from lab import detached
from lab.errors import NodeError
from lab.network_namespace import Namespace
from lab.node_cgroup import Cgroup
from lab.node_disk import NodeDisk
from lab.traces import Traces, is_alive, start_time, wait_gone

BOOT_TIMEOUT_S = 60.0


@dataclass
class Node:
    """One machine of the lab. `address` is what ssh dials; `release` is bookworm or trixie."""

    id: str
    release: str
    address: IPv4Address
    namespace: Namespace
    disk: NodeDisk
    traces: Traces = field(repr=False)

    @property
    def directory(self) -> Path:
        """The node's directory of the lab's state."""
        return self.disk.directory

    @property
    def root(self) -> Path:
        """The node's / as the host sees it."""
        return self.disk.root

    @property
    def hostname(self) -> str:
        """Its name in the lab's DNS."""
        return f"{self.id}.fleet.test"

    @property
    def host_key(self) -> str:
        """Its public ssh host key ("ssh-ed25519 AAAA…"), as the provider's panel would show it."""
        text = (self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
        return " ".join(text.split()[:2])

    @property
    def ssh_key(self) -> Path:
        """The private key that may log in as root."""
        return self.directory.parent.parent / "ssh" / "id_ed25519"

    @property
    def cgroup(self) -> Cgroup:
        """The cgroup in which all of its processes are, and no others."""
        return Cgroup(str(self.namespace.name))

    @property
    def running(self) -> bool:
        """True while its power is on."""
        return self._power() is not None

    def start(self) -> None:
        """Switch it on and return at once; `wait_booted` says when ssh answers."""
        if self.running:
            return
        self.disk.mount()
        self.cgroup.make(self.traces)
        argv = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot"]
        argv += ["--capability=CAP_NET_ADMIN,CAP_NET_RAW", f"--directory={self.root}"]
        argv += [f"--network-namespace-path=/run/netns/{self.namespace.name}"]
        argv += [f"--machine={self.namespace.name}", f"--hostname={self.id}"]
        argv += ["--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe"]
        argv += [f"--bind={source}:{target}" for source, target in self.disk.binds]
        console = self.directory / "console.log"
        pid, started = detached.start(self.cgroup.command(argv), console, env=NSPAWN)
        (self.directory / "power").write_text(f"{pid} {started}")

    def wait_booted(self, timeout_s: float = BOOT_TIMEOUT_S) -> None:
        """Return when its sshd answers. Raises NodeError with the end of its console."""
        deadline = time.monotonic() + timeout_s
        while not self._ssh_answers():
            if not self.running or time.monotonic() > deadline:
                raise NodeError(
                    f"node {self.id} ({self.release}) did not boot in {timeout_s:.0f} s; the end "
                    f"of {self.directory / 'console.log'}:\n{self._console_tail()}"
                )
            time.sleep(0.1)

    def boot(self, timeout_s: float = BOOT_TIMEOUT_S) -> None:
        """Switch it on and wait until it can be logged in to. Running already: nothing."""
        self.start()
        self.wait_booted(timeout_s)

    def kill(self) -> None:
        """Cut its power: every process of it ends at once, nothing is flushed by it."""
        power = self._power()
        if power is None:
            return
        self.cgroup.kill()
        if wait_gone([power], 10):
            raise NodeError(f"node {self.id} still runs 10 s after its power was cut")

    def power_off(self, timeout_s: float = 60.0) -> None:
        """Shut it down in order, as `poweroff` typed on it."""
        power = self._power()
        if power is None:
            return
        self.run("systemctl poweroff --no-block", check=False)
        if wait_gone([power], timeout_s):
            raise NodeError(f"node {self.id} still runs {timeout_s:.0f} s after poweroff")

    def run(
        self, command: str | Sequence[str], *, check: bool = True, timeout_s: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command (a string: by sh) on the node's console as root, without its network.

        Raises NodeError with stderr when it fails and `check` is set.
        """
        inner = ["sh", "-c", command] if isinstance(command, str) else list(command)
        done = subprocess.run(
            self.console_command(inner), capture_output=True, text=True, timeout=timeout_s
        )
        if check and done.returncode != 0:
            raise NodeError(
                f"on node {self.id}: {command!r} ended with {done.returncode}: "
                f"{(done.stderr or done.stdout).strip()}"
            )
        return done

    def console_command(self, argv: Sequence[str]) -> list[str]:
        """The host's command that runs `argv` on the node. Raises NodeError when it is off."""
        leader = self.leader()
        if leader is None:
            raise NodeError(f"node {self.id} is off; boot() it before running {' '.join(argv)!r}")
        enter = ["nsenter", "--target", str(leader[0]), "--mount", "--uts", "--ipc", "--net"]
        return [*enter, "--pid", "--root", "--wd", "--", "env", "-i", PATH, "HOME=/root", *argv]

    def leader(self) -> tuple[int, str] | None:
        """Pid (on the host) and start time of the node's process 1; None when it is off."""
        power = self._power()
        if power is None:
            return None
        children = Path(f"/proc/{power[0]}/task/{power[0]}/children")
        for pid in children.read_text().split() if children.exists() else ():
            started = start_time(int(pid))
            if started and Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                return int(pid), started
        return None

    def freeze(self) -> None:
        """Stop every process of it where it stands; the world's clocks go on."""
        self.cgroup.freeze(True)

    def thaw(self) -> None:
        """Let a frozen node go on. Not frozen: nothing."""
        self.cgroup.freeze(False)

    def remove_disk(self) -> None:
        """Throw its disk away, as a rebuilt VPS has a new one. It must be off."""
        if self.running:
            raise NodeError(f"node {self.id} is on; kill() it before its disk is thrown away")
        self.disk.erase()

    def _power(self) -> tuple[int, str] | None:
        try:
            pid, started = (self.directory / "power").read_text().split()
        except (OSError, ValueError):
            return None
        return (int(pid), started) if is_alive(int(pid), started) else None

    def _ssh_answers(self) -> bool:
        try:
            with socket.create_connection((str(self.address), 22), timeout=1) as connection:
                connection.settimeout(2)
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _console_tail(self) -> str:
        text = (self.directory / "console.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-20:])


PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# cgroup version 2 only, as both releases have; sysctls of its own network can be written.
NSPAWN = {"UNIFIED_CGROUP_HIERARCHY": "1", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
