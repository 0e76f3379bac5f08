"""What can be true of a node, as types: what `facts_look` finds and `steps` decide by. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PathFact:
    """A path as stat(1) and sha256sum(1) show it. `mode` in octal ("0640"); digest for files."""

    kind: str
    owner: str
    group: str
    mode: str
    target: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class UnitFact:
    """A systemd unit. `enabled` is systemctl's word (enabled, disabled, static, "": unknown)."""

    load: str
    active: str
    enabled: str
    # systemd was asked to start it and a Condition…= of the unit forbade it (chrony in a container)
    condition_failed: bool = False

    @property
    def satisfied(self) -> bool:
        """It runs, or may not run on this machine."""
        return self.active == "active" or self.condition_failed


@dataclass(frozen=True)
class CertificateFact:
    """The node's certificate against its key and CA; all False or empty where there is none."""

    uri: str = ""
    matches_key: bool = False
    from_ca: bool = False
    # Good for at least 30 more days.
    fresh: bool = False


@dataclass(frozen=True)
class Facts:
    """All that the steps need to know about one node."""

    distribution: str
    major: str
    machine: str
    python: str
    free_kib: int
    packages: Mapping[str, str]
    users: frozenset[str]
    paths: Mapping[str, PathFact]
    units: Mapping[str, UnitFact]
    releases: frozenset[str]
    certificate: CertificateFact
    queued: int
    spooled: int


@dataclass(frozen=True)
class Question:
    """What to look at: the wish names what it cares for."""

    packages: tuple[str, ...]
    users: tuple[str, ...]
    paths: tuple[str, ...]
    units: tuple[str, ...]
