"""Certificates of a test's own: an authority, a controller and the node n1."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make_credentials(place: Path, controller_address: str) -> None:
    """ca.pem, server.{key,pem}, node.{key,pem} in `place`."""
    place.mkdir(parents=True, exist_ok=True)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("ca", ca_key, "ca", ca_key, None)
    (place / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    names = {
        "server": x509.IPAddress(ipaddress.ip_address(controller_address)),
        "node": x509.UniformResourceIdentifier("spiffe://postfleet/node/n1"),
    }
    for name, san in names.items():
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, "ca", ca_key, san)
        (place / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (place / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    san: x509.GeneralName | None,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=san is None, path_length=None), critical=True)
    )
    if san is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([san]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
