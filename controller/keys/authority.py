"""The fleet CA: opened from the state directory, made there at first start.

    STATE/ca/ca.key   EC P-256, PKCS#8 PEM, 0600
    STATE/ca/ca.pem   its certificate

Issues certificates for the controller, for operators and clients, and signs nodes' requests. It
keeps no list of what it issued: the database says which certificate of a node is in force.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from controller.keys import certificate as profile
from controller.keys.errors import UnusableStateError
from controller.keys.identity import Kind, certificate_sha256, spiffe_uri
from controller.keys.secret_file import make_private_folder, write_secret

# Always among the server's names, so that a caller who reaches the controller by an address that no
# certificate knows can ask for this one (gRPC: grpc.ssl_target_name_override).
SERVER_NAME = "postfleet-controller"


@dataclass(frozen=True)
class Issued:
    """A certificate; `key_pem` (PKCS#8, secret) where the key was made here, else empty."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)
    certificate_sha256: bytes


@dataclass(frozen=True)
class FleetCa:
    """The CA with its key. Cheap to use from threads; immutable."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """What every member of the fleet trusts."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def sha256(self) -> bytes:
        return certificate_sha256(self.certificate)

    def issue_server(self, names: Sequence[str], *, now: datetime | None = None) -> Issued:
        """The controller's own certificate; `names`: DNS names and IP addresses of it."""
        sans: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(spiffe_uri(Kind.CONTROLLER)),
            *(_general_name(name) for name in dict.fromkeys([SERVER_NAME, *names])),
        ]
        key = profile.new_key()
        issued = profile.leaf_certificate(
            self.certificate,
            self.key,
            key.public_key(),
            common_name=SERVER_NAME,
            names=sans,
            server=True,
            lifetime=profile.SERVER_LIFETIME,
            now=now or datetime.now(UTC),
        )
        return _issued(issued, key)

    def issue_identity(self, kind: Kind, id: str, *, now: datetime | None = None) -> Issued:
        """A key and certificate for an operator, or for a client's tools."""
        key = profile.new_key()
        return _issued(self.certify(kind, id, key.public_key(), now=now), key)

    def certify(
        self,
        kind: Kind,
        id: str,
        public_key: ec.EllipticCurvePublicKey,
        *,
        now: datetime | None = None,
    ) -> x509.Certificate:
        """A client certificate for somebody else's key. `now` is aware; None: this moment."""
        lifetime = profile.NODE_LIFETIME if kind is Kind.NODE else profile.PERSON_LIFETIME
        return profile.leaf_certificate(
            self.certificate,
            self.key,
            public_key,
            common_name=f"{kind}/{id}",
            names=[x509.UniformResourceIdentifier(spiffe_uri(kind, id))],
            server=False,
            lifetime=lifetime,
            now=now or datetime.now(UTC),
        )


def open_fleet_ca(state_dir: Path) -> FleetCa:
    """Reads the CA of `state_dir`, making it where there is none. Raises UnusableStateError."""
    folder = state_dir / "ca"
    key_path, certificate_path = folder / "ca.key", folder / "ca.pem"
    if not certificate_path.exists():
        _make(folder, key_path, certificate_path)
    try:
        key = load_pem_private_key(key_path.read_bytes(), password=None)
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("the key is not an elliptic curve key")
        if key.public_key() != certificate.public_key():
            raise ValueError("key and certificate do not belong together")
        certificate.verify_directly_issued_by(certificate)
    except (OSError, ValueError, TypeError, InvalidSignature) as error:
        raise UnusableStateError(
            f"the fleet CA in {folder} cannot be used: {error}. Nodes trust only this CA: restore "
            "the folder from a backup rather than removing it"
        ) from error
    return FleetCa(certificate, key)


def _make(folder: Path, key_path: Path, certificate_path: Path) -> None:
    """The certificate is written last: where it exists, the key does too."""
    make_private_folder(folder)
    key = profile.new_key()
    certificate = profile.ca_certificate(key, datetime.now(UTC))
    write_secret(key_path, _private_pem(key))
    write_secret(certificate_path, certificate.public_bytes(Encoding.PEM), mode=0o644)


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    pem = certificate.public_bytes(Encoding.PEM)
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    return Issued(pem, _private_pem(key), digest)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
