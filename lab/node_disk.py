"""A node's disk: an overlay over the base image, and optionally a small /var.

What a node writes is in `disk/upper` of its directory and stays over power cuts. With `var_mib` its
/var is a file system of that size (kept in memory), so that it can really be full. `identify`
writes what a provider writes into a new machine: hostname, resolver, the customer's ssh key.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.plan import RESOLVER
from lab.traces import Traces


@dataclass
class NodeDisk:
    """The disk of one node; `directory` is the node's own in the lab's state."""

    directory: Path
    image: Path
    var_mib: int
    traces: Traces

    @property
    def root(self) -> Path:
        """Where the whole of it is mounted."""
        return self.directory / "root"

    @property
    def var(self) -> Path:
        """Where its /var is, as the host sees it."""
        return self.directory / "var" if self.var_mib else self.root / "var"

    @property
    def binds(self) -> list[tuple[Path, str]]:
        """(source on the host, target on the node) to be mounted over the root."""
        return [(self.directory / "var", "/var")] if self.var_mib else []

    def mount(self) -> None:
        """Mount it; mounted already: nothing."""
        disk = self.directory / "disk"
        for directory in (self.root, disk / "upper", disk / "work"):
            directory.mkdir(parents=True, exist_ok=True)
        if not self.root.is_mount():
            self.traces.note("mount", str(self.root))
            layers = f"lowerdir={self.image},upperdir={disk}/upper,workdir={disk}/work"
            _run("mount", "-t", "overlay", "overlay", "-o", layers, str(self.root))
        if self.var_mib:
            self._mount_var()

    def _mount_var(self) -> None:
        var = self.directory / "var"
        var.mkdir(exist_ok=True)
        if not var.is_mount():
            self.traces.note("mount", str(var))
            options = f"size={self.var_mib}m,mode=755"
            _run("mount", "-t", "tmpfs", "postfleet-var", "-o", options, str(var))
            _run("cp", "-a", f"{self.root}/var/.", str(var))

    def identify(self, hostname: str, authorized_key: str) -> None:
        """Give the machine its name, resolver and the key that may log in as root."""
        self.mount()
        short = hostname.split(".")[0]
        (self.root / "etc/hostname").write_text(f"{short}\n")
        hosts = f"127.0.0.1 localhost\n127.0.1.1 {hostname} {short}\n::1 localhost\n"
        (self.root / "etc/hosts").write_text(hosts)
        resolv = self.root / "etc/resolv.conf"
        resolv.unlink(missing_ok=True)
        resolv.write_text(f"nameserver {RESOLVER}\n")
        ssh = self.root / "root/.ssh"
        ssh.mkdir(mode=0o700, exist_ok=True)
        (ssh / "authorized_keys").write_text(authorized_key)
        (ssh / "authorized_keys").chmod(0o600)

    def erase(self) -> None:
        """Unmount and delete all that was written."""
        for mounted in (self.directory / "var", self.root):
            if mounted.is_mount():
                _run("umount", str(mounted))
        shutil.rmtree(self.directory / "disk", ignore_errors=True)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True)
