"""Base images: what a provider's fresh Debian image holds, one directory for each release.

Made once by debootstrap (about a minute each, both at the same time) and cached in
/var/cache/postfleet-lab/<release>-<recipe>. A node never writes to it: it mounts an overlay. The
image is *bare*: nothing in PACKAGES is there for postfleet's sake; provisioning brings that itself.

The directory is renamed into place when it is finished, so an interrupted build is never mistaken
for an image; a changed recipe makes another name, and running labs keep what they have mounted.
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

# A provider's image is some weeks old at most.
UPGRADE = """\
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -q -y dist-upgrade
apt-get clean
rm -rf /var/lib/apt/lists/*
"""

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
    parts = (release, *PACKAGES, SOURCES, UPGRADE, FIRST_BOOT_KEYS, SSHD)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def image_path(release: str) -> Path:
    """Where the image of this release by today's recipe is or will be."""
    return CACHE / f"{release}-{recipe(release)[:8]}"


def ensure_images(
    releases: tuple[str, ...] = RELEASES, progress: Progress = lambda *_: None
) -> dict[str, Path]:
    """Build what is missing, at the same time; return release -> directory. Needs root."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=len(RELEASES)) as pool:
        done = pool.map(lambda release: _ensure(release, progress), releases)
        return dict(zip(releases, done, strict=True))


def _ensure(release: str, progress: Progress) -> Path:
    target = image_path(release)
    with _locked(CACHE / f".{release}.lock"):
        if not target.is_dir():
            staging = CACHE / f".{release}.new"
            shutil.rmtree(staging, ignore_errors=True)
            _debootstrap(release, staging, progress)
            _finish(release, staging)
            staging.rename(target)
            _remove_old(release)
    progress(release, 1, 1)
    return target


def _remove_old(release: str) -> None:
    """Delete images of other recipes, but for those that a running node has below it."""
    mounts = Path("/proc/self/mounts").read_text()
    for old in CACHE.glob(f"{release}-*"):
        if old != image_path(release) and f"lowerdir={old}" not in mounts:
            shutil.rmtree(old, ignore_errors=True)


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
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for done, line in enumerate(process.stdout):
            tail = [*tail[-15:], line]
            progress(release, min(done, steps - 1), steps)
    if process.returncode != 0:
        raise ImageError(
            f"debootstrap of {release} into {staging} ended with {process.returncode}:\n"
            + "".join(tail)
            + "No image was put into the cache; repeat when the mirror answers."
        )


def _finish(release: str, root: Path) -> None:
    """Turn the bootstrap into what a provider boots: no identity of its own, ssh by key only."""
    (root / "etc/apt/sources.list").write_text(SOURCES.format(release=release))
    _upgrade(release, root)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "etc/ssh/sshd_config.d/10-provider.conf").write_text(SSHD)
    unit = root / "etc/systemd/system/first-boot-host-keys.service"
    unit.write_text(FIRST_BOOT_KEYS)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / unit.name).symlink_to(f"../{unit.name}")


def _upgrade(release: str, root: Path) -> None:
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    done = subprocess.run(["chroot", root, "sh", "-ec", UPGRADE], capture_output=True, text=True)
    if done.returncode != 0:
        raise ImageError(
            f"upgrading the new {release} image ended with {done.returncode}: {done.stderr}\n"
            "No image was put into the cache; repeat when the mirror answers."
        )
