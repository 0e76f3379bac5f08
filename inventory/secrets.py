"""Secrets by reference: `env:NAME` and `file:PATH` in the inventory, values only in memory.

Resolved where the operator is (CLI, provisioning), sent over mTLS, sealed in the database. Relative
paths start at the secrets directory (default: the inventory's folder). The final line end of a file
is not part of the secret. Messages name the reference and what is wrong, never the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Literal

from inventory.errors import Finding, InventoryError, Path
from inventory.load import Loaded, located
from inventory.schema import Inventory

_HOST_KEY = re.compile(
    r"(?P<key>(ssh-ed25519|ssh-rsa|ecdsa-sha2-[a-z0-9-]+) [A-Za-z0-9+/]+=*)(\s.*)?\Z"
)
_LARGEST_OCTETS = 16_384


@dataclass(frozen=True)
class Reference:
    """Where a secret is used, its reference, and what it is."""

    path: Path
    reference: str
    kind: Literal["password", "host key"]


def references(inventory: Inventory) -> Iterator[Reference]:
    """Every use of a reference, in the order of the inventory; the same one may come often."""
    for number, egress in enumerate(inventory.egresses):
        if egress.exit.kind == "socks5":
            path: Path = ("egresses", number, "exit", "password")
            yield Reference(path, egress.exit.password, "password")
    for number, node in enumerate(inventory.nodes):
        if node.host_key.startswith(("file:", "env:")):
            yield Reference(("nodes", number, "host_key"), node.host_key, "host key")


def resolve(loaded: Loaded, secrets_dir: FilePath, environ: Mapping[str, str]) -> dict[str, str]:
    """Reference -> secret for all references. Raises InventoryError with all that fail."""
    secrets: dict[str, str] = {}
    refused: dict[str, str] = {}
    found: list[Finding] = []
    for use in references(loaded.inventory):
        key = use.reference
        if key not in secrets and key not in refused:
            try:
                secrets[key] = _read(key, secrets_dir, environ)
            except _UnreadableError as error:
                refused[key] = str(error)
        problem = refused.get(key) or wrong_with(use, secrets[key])
        if problem:
            found.append(Finding(use.path, key, problem))
    if found:
        raise InventoryError(located(loaded.text, loaded.file, _once_per_reference(found)))
    return secrets


def wrong_with(use: Reference, secret: str) -> str:
    """What makes a value useless where it is used; empty when it is good."""
    if use.kind == "host key":
        if _HOST_KEY.match(secret):
            return ""
        return "does not hold a public ssh host key such as `ssh-ed25519 AAAA…`"
    octets = len(secret.encode())
    if not 1 <= octets <= 255:
        return f"holds {octets} octets; a SOCKS5 password has 1 to 255 (RFC 1929)"
    if re.search(r"[\x00-\x1f\x7f]", secret):
        return "holds control characters, such as a line end in the middle"
    return ""


def host_key(written: str, secrets: Mapping[str, str]) -> str:
    """The key itself, as type and base64, of a node's `host_key` field."""
    return public_key(secrets.get(written, written)) or written


def public_key(text: str) -> str:
    """A public ssh host key as type and base64, without its comment; empty: it is none."""
    match = _HOST_KEY.match(text.strip())
    return match["key"] if match else ""


class _UnreadableError(Exception):
    """Its text says why a reference cannot be read."""


def _read(reference: str, secrets_dir: FilePath, environ: Mapping[str, str]) -> str:
    kind, _, name = reference.partition(":")
    if kind == "env":
        if name not in environ:
            raise _UnreadableError(f"the environment variable {name} is not set")
        return environ[name]
    file = secrets_dir / name
    try:
        with file.open("rb") as stream:
            octets = stream.read(_LARGEST_OCTETS + 1)
    except OSError as error:
        raise _UnreadableError(f"cannot read {file}: {error.strerror}") from None
    if len(octets) > _LARGEST_OCTETS:
        raise _UnreadableError(f"{file} has more than {_LARGEST_OCTETS:,} octets: not a secret")
    try:
        return octets.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise _UnreadableError(f"{file} is not UTF-8 text") from None


def _once_per_reference(found: list[Finding]) -> list[Finding]:
    """One finding for each reference: 150 proxies with one password file are one mistake."""
    counts: dict[tuple[object, str], int] = {}
    for finding in found:
        key = (finding.value, finding.message)
        counts[key] = counts.get(key, 0) + 1
    kept: list[Finding] = []
    for finding in found:
        more = counts.pop((finding.value, finding.message), 0)
        if more:
            also = f" (and in {more - 1} more places)" if more > 1 else ""
            kept.append(Finding(finding.path, finding.value, finding.message + also))
    return kept
