"""Who is calling: the one SAN URI of the peer's certificate, read into an `Identity`.

    spiffe://postfleet/node/<id>       an agent
    spiffe://postfleet/operator/<name> a person or their tools
    spiffe://postfleet/client/<id>     a sender's tools
    spiffe://postfleet/controller      a controller

Names in the subject mean nothing. That the certificate is one of the fleet CA's was checked by TLS
before; whether a node's certificate is still in force is for `controller.sessions` to ask.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from controller.keys.errors import UnknownIdentityError

TRUST_DOMAIN = "postfleet"
_URI = re.compile(
    r"spiffe://postfleet/(?:(node|operator|client)/([a-z0-9][a-z0-9._-]{0,62})|controller)"
)


class Kind(StrEnum):
    """The kinds of callers there are."""

    NODE = "node"
    OPERATOR = "operator"
    CLIENT = "client"
    CONTROLLER = "controller"


@dataclass(frozen=True)
class Identity:
    """A caller. `certificate_sha256` is the digest of the certificate's DER octets (32 octets)."""

    kind: Kind
    id: str
    certificate_sha256: bytes

    @property
    def actor(self) -> str:
        """As it stands in the audit log: `operator/alice`, `node/n1`, `controller`."""
        return f"{self.kind}/{self.id}" if self.id else str(self.kind)


class Peer(Protocol):
    """The part of a gRPC servicer context that is needed here."""

    def auth_context(self) -> Mapping[str, Sequence[bytes]]: ...


def spiffe_uri(kind: Kind, id: str = "") -> str:
    """The SAN URI of an identity. Raises ValueError for an id that could not be read back."""
    uri = f"spiffe://{TRUST_DOMAIN}/{kind}" + (f"/{id}" if id else "")
    if not _URI.fullmatch(uri):
        raise ValueError(f"{kind} {id!r} cannot stand in a certificate: [a-z0-9._-], 1 to 63 long")
    return uri


def peer_identity(context: Peer) -> Identity:
    """The caller of a gRPC method. Raises UnknownIdentityError."""
    pems = context.auth_context().get("x509_pem_cert", ())
    if len(pems) != 1:
        raise UnknownIdentityError("the connection carries no client certificate")
    return certificate_identity(x509.load_pem_x509_certificate(pems[0]))


def certificate_identity(certificate: x509.Certificate) -> Identity:
    """The identity a certificate stands for. Raises UnknownIdentityError."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise UnknownIdentityError("the certificate has no subject alternative name") from None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise UnknownIdentityError(f"the certificate has {len(uris)} URIs, one is expected")
    match = _URI.fullmatch(uris[0])
    if match is None:
        raise UnknownIdentityError(f"{uris[0]!r} is nobody of this fleet")
    return Identity(
        kind=Kind(match[1] or "controller"),
        id=match[2] or "",
        certificate_sha256=certificate_sha256(certificate),
    )


def certificate_sha256(certificate: x509.Certificate) -> bytes:
    """SHA-256 over the DER octets: how `node.certificate_sha256` names a certificate."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
