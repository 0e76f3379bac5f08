"""What a step consists of: data that `carry_out` turns into deeds and a dry run into words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from provisioning.wish import FileWish


@dataclass(frozen=True)
class Script:
    """A shell script that root runs on the node; any failing command ends it."""

    text: str


@dataclass(frozen=True)
class Upload:
    """A local file to a path on the node, which checks its digest before it counts."""

    source: Path
    target: str
    sha256: str


@dataclass(frozen=True)
class WriteFiles:
    """Small files, each written beside its place and renamed into it."""

    files: tuple[FileWish, ...]


@dataclass(frozen=True)
class Enrol:
    """Have the fleet's CA sign the CSR that the node makes, and store the certificate there."""

    node_id: str


Action = Script | Upload | WriteFiles | Enrol


@dataclass(frozen=True)
class Step:
    """One line of a run. `why` says what was found; the rest is for when it fails."""

    name: str
    why: tuple[str, ...]
    actions: tuple[Action, ...]
    remedy: str
    holds: str = "the steps before it are done; nothing that is in use was changed"
