"""Makes DKIM keys: RSA, 2048 bits (RFC 8301 section 3.2), one for each domain.

A key takes 50 to 300 ms of one core, so many are made side by side in threads: OpenSSL releases
the interpreter while it searches primes. Sealing and storing them is the caller's.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

BITS = 2048


@dataclass(frozen=True)
class DkimKeyPair:
    """A key pair. `private_pem`: PKCS#8 PEM, secret; `public_b64`: what stands in p= (RFC 6376)."""

    domain: str
    private_pem: str = field(repr=False)
    public_b64: str


def make_dkim_key(domain: str) -> DkimKeyPair:
    """One key pair; takes a fraction of a second of one core."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return DkimKeyPair(domain, private.decode(), base64.b64encode(public).decode())


def make_dkim_keys(domains: Iterable[str]) -> list[DkimKeyPair]:
    """A key pair for each domain, in their order, made on all cores. Blocks: call in a thread."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as threads:
        return list(threads.map(make_dkim_key, domains))


def dkim_record(public_b64: str) -> str:
    """The value of the TXT record <selector>._domainkey.<domain> (RFC 6376 section 3.6.1)."""
    return f"v=DKIM1; k=rsa; p={public_b64}"
