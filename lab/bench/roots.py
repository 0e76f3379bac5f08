"""Debian roots with the mail servers that are measured: Postfix with redsocks, and Exim.

They conflict with each other and with the host's packages, so each has a root of its own: the lab's
base image below, the packages in a layer that is cached, and on top what a run writes.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.bench.ground import Ground, run
from lab.network_namespace import Process
from lab.node_image import CACHE, ensure_images

RELEASE = "bookworm"
_INSTALL = """
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get -qq update
apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends {packages}
apt-get clean
rm -rf /var/lib/apt/lists/*
"""
POSTFIX = ("postfix", "redsocks")
EXIM = ("exim4-daemon-heavy",)


@dataclass(frozen=True)
class Root:
    """A mounted root. Programs run in it with the ground's network, and die with the ground."""

    path: Path
    ground: Ground

    def command(self, *argv: str) -> list[str]:
        """The command that runs `argv` in this root, once the namespace is entered."""
        return ["chroot", str(self.path), *argv]

    def run(self, *argv: str, stdin: str | None = None) -> str:
        """Run a short command to its end."""
        return self.ground.namespace.run(self.command(*argv), stdin=stdin).stdout

    def daemon(self, *argv: str) -> Process:
        """Start a daemon that stays in the foreground, as process 1 of a pid namespace: whatever
        it starts ends with it."""
        inside = ["unshare", "--pid", "--fork", "--kill-child", f"--mount-proc={self.path}/proc"]
        return self.ground.namespace.popen([*inside, *self.command(*argv)], log=Path(argv[0]).name)


def mount(ground: Ground, name: str, packages: tuple[str, ...]) -> Root:
    """Return a root with these packages, built when it is not cached (half a minute)."""
    image = ensure_images((RELEASE,))[RELEASE]
    layer = _layer(ground, image, packages)
    folder = ground.directory / name
    root, upper, work = folder / "root", folder / "upper", folder / "work"
    for directory in (root, upper, work):
        directory.mkdir(parents=True)
    _overlay(ground, root, f"{layer}:{image}", upper, work)
    _devices(ground, root)
    return Root(root, ground)


def _layer(ground: Ground, image: Path, packages: tuple[str, ...]) -> Path:
    digest = hashlib.sha256("\0".join((image.name, _INSTALL, *packages)).encode()).hexdigest()
    layer = CACHE / f"bench-{packages[0]}-{digest[:8]}"
    if layer.is_dir():
        return layer
    folder = ground.directory / f"build-{packages[0]}"
    root, work = folder / "root", CACHE / f".{layer.name}.work"
    upper = CACHE / f".{layer.name}.new"
    for directory in (upper, work):
        shutil.rmtree(directory, ignore_errors=True)
    for directory in (root, upper, work):
        directory.mkdir(parents=True)
    _overlay(ground, root, str(image), upper, work)
    _devices(ground, root)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    run("chroot", str(root), "sh", "-ec", _INSTALL.format(packages=" ".join(packages)))
    run("umount", "--recursive", str(root))
    shutil.rmtree(work, ignore_errors=True)
    upper.rename(layer)
    return layer


def _overlay(ground: Ground, root: Path, lower: str, upper: Path, work: Path) -> None:
    ground.traces.note("mount", str(root))
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    run("mount", "-t", "overlay", "overlay", "-o", options, str(root))


def _devices(ground: Ground, root: Path) -> None:
    for name, kind in (("proc", "proc"), ("dev", "tmpfs")):
        target = root / name
        ground.traces.note("mount", str(target))
        run("mount", "-t", kind, kind, str(target))
    for device in ("null", "zero", "random", "urandom"):
        node = root / "dev" / device
        run("mknod", "-m", "666", str(node), "c", "1", _MINOR[device])
    (root / "dev/shm").mkdir()


_MINOR = {"null": "3", "zero": "5", "random": "8", "urandom": "9"}
