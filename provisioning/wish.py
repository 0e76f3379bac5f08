"""What a machine has to be so that it is a node: pure data, made from the inventory and options.

Users and directories are read from `units/postfleet.sysusers.conf` and `postfleet.tmpfiles.conf`
(sysusers.d(5), tmpfiles.d(5)), which the node's systemd also reads, so they stand in one place.
What postfleet-apply renders (main.cf, egresses.json, …) is not wished for here: the controller's
spec decides it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from provisioning.facts import Question

UNITS = Path(__file__).resolve().parent / "units"
SYSTEMD = "/etc/systemd/system"
RELEASES = "/opt/postfleet"
CURRENT = f"{RELEASES}/current"
TLS = "/etc/postfleet/tls"
KEY, CERTIFICATE, CA = f"{TLS}/node.key", f"{TLS}/node.pem", f"{TLS}/ca.pem"
MAIN_CF = "/etc/postfix/main.cf"
# Stands while a rebuild is at work on the machine: its disk is new, and the rebuild not finished.
REBUILDING = "/var/lib/postfleet-rebuilding"

PACKAGES = (
    *("postfix", "postfix-lmdb", "opendkim", "nftables", "chrony", "logrotate"),
    *("python3", "openssl", "ca-certificates"),
)
# Come back after a reboot; apply starts them as soon as there is a spec.
_ENABLED = ("postfix.service", "opendkim.service")
# Started here, in this order.
_STARTED = (
    *("postfleet-net.service", "postfleet-boot.service", "postfleet-gateway.socket"),
    *("postfleet-apply.socket", "postfleet-gateway.service", "postfleet-agent.service"),
    "chrony.service",
)
_UNIT_KINDS = (".service", ".socket", ".timer", ".path", ".conf")


@dataclass(frozen=True)
class DirectoryWish:
    """A directory or an empty file of tmpfiles.d. `mode` in octal ("0750")."""

    path: str
    mode: str
    owner: str
    group: str


@dataclass(frozen=True)
class FileWish:
    """A file that provisioning writes, root's. `restarts`: units that read it when they start."""

    path: str
    content: bytes = field(repr=False)
    restarts: tuple[str, ...] = ()
    mode: str = "0644"

    @property
    def sha256(self) -> str:
        """Digest of the content, in hex."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Wish:
    """One node as it shall be."""

    node_id: str
    release_id: str
    packages: tuple[str, ...]
    users: tuple[str, ...]
    directories: tuple[DirectoryWish, ...]
    files: tuple[FileWish, ...]
    # to be running, in the order of starting
    units: tuple[str, ...]
    # to be enabled only
    enabled_units: tuple[str, ...]

    @property
    def certificate_uri(self) -> str:
        """The name that the node's certificate must carry."""
        return f"spiffe://postfleet/node/{self.node_id}"

    @property
    def question(self) -> Question:
        """What has to be looked at to compare a machine with this wish."""
        paths = [d.path for d in self.directories] + [f.path for f in self.files]
        return Question(
            packages=self.packages,
            users=self.users,
            paths=(*paths, CURRENT, KEY, CERTIFICATE, CA, MAIN_CF, REBUILDING),
            units=(*self.units, *self.enabled_units),
        )


def wish_for(node_id: str, *, controller: str, metrics_listen: str, release_id: str) -> Wish:
    """The wish for a node; `controller` and `metrics_listen`: host:port as the node sees them."""
    agent_toml = (
        "# Written by provisioning; the next run replaces it.\n"
        f'node_id = "{node_id}"\ncontroller = "{controller}"\nmetrics_listen = "{metrics_listen}"\n'
    )
    files = brought_files(UNITS)
    readers = ("postfleet-gateway.service", "postfleet-agent.service")
    return Wish(
        node_id=node_id,
        release_id=release_id,
        packages=PACKAGES,
        users=users(files["/etc/sysusers.d/postfleet.conf"].decode()),
        directories=directories(files["/etc/tmpfiles.d/postfleet.conf"].decode()),
        files=(
            *(FileWish(path, text, _restarts(path)) for path, text in files.items()),
            FileWish("/etc/postfleet/agent.toml", agent_toml.encode(), readers),
        ),
        units=_STARTED,
        enabled_units=_ENABLED,
    )


def brought_files(directory: Path) -> dict[str, bytes]:
    """Path on the node -> content, of every unit, drop-in, sysusers and tmpfiles file."""
    found = {}
    for path in sorted(p for p in directory.rglob("*") if p.suffix in _UNIT_KINDS):
        kind = path.suffixes[0].removeprefix(".") if len(path.suffixes) > 1 else ""
        if kind in ("sysusers", "tmpfiles"):
            target = f"/etc/{kind}.d/{path.name.partition('.')[0]}.conf"
        else:
            target = f"{SYSTEMD}/{path.relative_to(directory)}"
        found[target] = path.read_bytes()
    return found


def users(sysusers: str) -> tuple[str, ...]:
    """The users that a sysusers.d file makes."""
    rows = (line.split() for line in sysusers.splitlines())
    return tuple(row[1] for row in rows if row and row[0] == "u")


def directories(tmpfiles: str) -> tuple[DirectoryWish, ...]:
    """The directories and files that a tmpfiles.d file makes, parents first."""
    rows = (line.split() for line in tmpfiles.splitlines())
    return tuple(DirectoryWish(*row[1:5]) for row in rows if row and row[0] in ("d", "f"))


def _restarts(path: str) -> tuple[str, ...]:
    """The unit that a changed unit file or drop-in concerns; templates concern no running unit."""
    if not path.startswith(SYSTEMD):
        return ()
    first = path.removeprefix(f"{SYSTEMD}/").partition("/")[0].removesuffix(".d")
    return () if first.endswith("@.service") else (first,)
