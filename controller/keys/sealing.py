"""Seals secrets for the database: AES-256-GCM under STATE/sealing.key.

    version (1 octet) | nonce (12 octets) | ciphertext and tag

The associated data names the row the value belongs to, so a sealed value copied into another row
does not open. The key never enters the database; a database dump alone reveals no secret. At most
2**32 values may be sealed under one key with random nonces (NIST SP 800-38D, 8.3): far away here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from controller.keys.errors import UnsealError, UnusableStateError
from controller.keys.secret_file import make_private_folder, write_secret

_VERSION = b"\x01"
_NONCE_OCTETS = 12
_KEY_OCTETS = 32


def proxy_password_row(egress_id: str) -> str:
    """Names egress.sealed_password of one row."""
    return f"egress/{egress_id}/password"


def dkim_key_row(domain: str, selector: str) -> str:
    """Names dkim_key.sealed_key of one row."""
    return f"dkim_key/{domain}/{selector}"


@dataclass(frozen=True)
class Sealer:
    """Seals and opens. `row` says which row a value stands in, by one of the functions above."""

    key: bytes = field(repr=False)

    def seal(self, secret: bytes, row: str) -> bytes:
        """Another result each time, also for the same secret: compare opened values only."""
        nonce = os.urandom(_NONCE_OCTETS)
        return _VERSION + nonce + AESGCM(self.key).encrypt(nonce, secret, row.encode())

    def open(self, sealed: bytes, row: str) -> bytes:
        """The secret. Raises UnsealError; the message never holds any of it."""
        sealed = bytes(sealed)
        nonce, body = sealed[1 : 1 + _NONCE_OCTETS], sealed[1 + _NONCE_OCTETS :]
        if sealed[:1] != _VERSION or len(nonce) != _NONCE_OCTETS:
            raise UnsealError(f"the sealed value of {row} is damaged")
        try:
            return AESGCM(self.key).decrypt(nonce, body, row.encode())
        except (InvalidTag, ValueError):
            raise UnsealError(
                f"the sealed value of {row} does not open with this controller's sealing.key: it "
                "was sealed by another key or for another row. Restore sealing.key, or apply the "
                "inventory again"
            ) from None


def open_sealer(state_dir: Path) -> Sealer:
    """Reads STATE/sealing.key, making it where there is none. Raises UnusableStateError."""
    path = state_dir / "sealing.key"
    if not path.exists():
        make_private_folder(state_dir)
        write_secret(path, os.urandom(_KEY_OCTETS))
    try:
        key = path.read_bytes()
    except OSError as error:
        raise UnusableStateError(f"{path} cannot be read: {error}") from error
    if len(key) != _KEY_OCTETS:
        raise UnusableStateError(
            f"{path} has {len(key)} octets, {_KEY_OCTETS} are expected; restore it from a backup: "
            "without it the database's secrets stay closed"
        )
    return Sealer(key)
