"""Is this text one RSA private key in PKCS#8 PEM, and nothing else? Pure.

Looks at the armour and at the outer structure only (RFC 7468 section 10, RFC 5958 section 2); that
the numbers make a working key is openssl's to say (node_agent.apply.check).
"""

from __future__ import annotations

import base64
import binascii
import re

_ARMOUR = re.compile(
    r"-----BEGIN PRIVATE KEY-----\n((?:[A-Za-z0-9+/]{1,76}={0,2}\n)+)-----END PRIVATE KEY-----\n?"
)
# AlgorithmIdentifier { rsaEncryption (1.2.840.113549.1.1.1), NULL }: RFC 8017 appendix A.1.
_RSA = bytes.fromhex("300d06092a864886f70d0101010500")
_VERSION_0 = bytes.fromhex("020100")


def rsa_key_problem(pem: str) -> str | None:
    """Return what is wrong with `pem`, or None. Never quotes the key."""
    armour = _ARMOUR.fullmatch(pem)
    if armour is None:
        return "is not one PEM block of type PRIVATE KEY (PKCS#8)"
    try:
        der = base64.b64decode(armour[1].replace("\n", ""), validate=True)
    except binascii.Error:
        return "holds no valid base64"
    inner = _sequence(der)
    if inner is None:
        return "is no DER sequence of the length it announces"
    if not inner.startswith(_VERSION_0 + _RSA):
        return "is no RSA key (PKCS#8 version 0, rsaEncryption)"
    return None


def _sequence(der: bytes) -> bytes | None:
    """Return the content of a SEQUENCE that spans all of `der` (X.690 section 8.1)."""
    if len(der) < 2 or der[0] != 0x30:
        return None
    if der[1] < 0x80:
        content = der[2:]
        return content if len(content) == der[1] else None
    octets = der[1] & 0x7F
    content = der[2 + octets :]
    length = int.from_bytes(der[2 : 2 + octets], "big")
    return content if 0 < octets <= 3 and len(content) == length else None
