"""Base images: what a provider's fresh Debian image holds, one directory for each release.

Made once by debootstrap (about a minute each, both at the same time) and cached in
/var/cache/postfleet-lab/<release>. A node never writes to it: it mounts an overlay. The image is
*bare*: nothing in PACKAGES is there for postfleet's sake; provisioning has to bring that itself.

An image is finished when its recipe file stands in it; the directory is renamed into place, so a
broken or interrupted build is never mistaken for an image, and a changed recipe builds anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from lab.errors import ImageError

CACHE = Path("/var/cache/postfleet-lab")
RELEASES = ("bookworm", "trixie")
MIRROR = "http://deb.debian.org/debian"

# What Debian's cloud images have of use here: init, ssh, network tools, certificates, python3
# (cloud-init needs it), sudo, logrotate. Nothing that only postfleet wants.
PACKAGES = (
    *("systemd", "systemd-sysv", "libpam-systemd", "dbus", "udev", "openssh-server"),
    *("ca-certificates", "curl", "iproute2", "iputils-ping", "procps", "netbase"),
    *("python3", "sudo", "logrotate", "less"),
)

SOURCES = """\
deb http://deb.debian.org/debian {release} main
deb http://deb.debian.org/debian {release}-updates main
deb http://deb.debian.org/debian-security {release}-security main
"""

# As cloud-init does it: host keys are made at first boot, so no two machines share one.
FIRST_BOOT_KEYS = """\
[Unit]
Description=Make this machine's ssh host keys at first boot
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key

[Install]
WantedBy=multi-user.target
"""

SSHD = "PasswordAuthentication no\nPermitRootLogin prohibit-password\nUseDNS no\n"

Progress = Callable[[str, int, int], None]
"""Called with (release, steps done, steps expected); both in debootstrap's own messages."""


def recipe(release: str) -> str:
    """The digest of everything that decides what an image of this release contains."""
    parts = (release, *PACKAGES, SOURCES, FIRST_BOOT_KEYS, SSHD)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def is_ready(release: str, cache: Path = CACHE) -> bool:
    """True when the cached image is whole and made by today's recipe."""
    stamp = cache / release / ".postfleet-recipe"
    return stamp.is_file() and stamp.read_text() == recipe(release)


def ensure_images(
    releases: tuple[str, ...] = RELEASES, progress: Progress = lambda *_: None
) -> dict[str, Path]:
    """Build what is missing, at the same time; return release -> directory. Needs root."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=len(RELEASES)) as pool:
        done = pool.map(lambda release: _ensure(release, progress), releases)
        return dict(zip(releases, done, strict=True))


def _ensure(release: str, progress: Progress) -> Path:
    target = CACHE / release
    with _locked(CACHE / f".{release}.lock"):
        if not is_ready(release):
            staging = CACHE / f".{release}.new"
            shutil.rmtree(staging, ignore_errors=True)
            _debootstrap(release, staging, progress)
            _finish(release, staging)
            shutil.rmtree(target, ignore_errors=True)
            staging.rename(target)
    progress(release, 1, 1)
    return target


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two labs that start at the same time build an image once."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _debootstrap(release: str, staging: Path, progress: Progress) -> None:
    debs = CACHE / "debs" / release
    debs.mkdir(parents=True, exist_ok=True)
    argv = ["debootstrap", "--variant=minbase", f"--cache-dir={debs}"]
    argv += [f"--include={','.join(PACKAGES)}", release, str(staging), MIRROR]
    steps = 5 * (110 + len(PACKAGES))  # about: retrieve, validate, extract, unpack, configure
    tail: list[str] = []
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    for done, line in enumerate(process.stdout):
        tail = [*tail[-15:], line]
        progress(release, min(done, steps - 1), steps)
    if process.wait() != 0:
        raise ImageError(
            f"debootstrap of {release} into {staging} ended with {process.returncode}:\n"
            + "".join(tail)
            + "No image was put into the cache; repeat when the mirror answers."
        )


def _finish(release: str, root: Path) -> None:
    """Turn the bootstrap into what a provider boots: no identity of its own, ssh by key only."""
    (root / "etc/apt/sources.list").write_text(SOURCES.format(release=release))
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "etc/ssh/sshd_config.d/10-provider.conf").write_text(SSHD)
    unit = root / "etc/systemd/system/first-boot-host-keys.service"
    unit.write_text(FIRST_BOOT_KEYS)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / unit.name).symlink_to(f"../{unit.name}")
    for deb in (root / "var/cache/apt/archives").glob("*.deb"):
        deb.unlink()
    (root / ".postfleet-recipe").write_text(recipe(release))
