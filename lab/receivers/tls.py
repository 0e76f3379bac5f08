"""The lab's own certificate authority and the receivers' certificates.

EC P-256, written as PEM. Nodes do not trust it (opportunistic TLS needs no trust); who wants to
verify uses `ca.pem`, or the TLSA record that `tlsa_data` gives (RFC 6698: 3 1 1).
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

_DAYS_VALID = 30


def make_authority(folder: Path) -> None:
    """Makes `ca.pem` and `ca.key` in the folder, unless they are there already."""
    if (folder / "ca.pem").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "postfleet lab receivers")])
    builder = _builder(name, name, key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    _write(folder / "ca", builder.sign(key, hashes.SHA256()), key)


def make_certificate(folder: Path, name: str, hosts: list[str], addresses: list[str]) -> None:
    """Makes `NAME.pem` and `NAME.key` for the host names and IP addresses, signed by the CA."""
    ca = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    ca_key = load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{folder / 'ca.key'}: not an EC key")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    builder = _builder(subject, ca.subject, key.public_key()).add_extension(
        x509.SubjectAlternativeName(names), critical=False
    )
    _write(folder / name, builder.sign(ca_key, hashes.SHA256()), key)


def server_context(folder: Path, name: str) -> ssl.SSLContext:
    """What a receiver offers after STARTTLS: TLS 1.2 and 1.3, no client certificate asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


def tlsa_data(folder: Path, name: str) -> str:
    """Presentation form of the certificate's TLSA record: usage 3, selector 1, SHA-256."""
    certificate = x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"3 1 1 {hashlib.sha256(spki).hexdigest()}"


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS_VALID))
    )


def _write(stem: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    stem.with_suffix(".pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file = stem.with_suffix(".key")
    key_file.touch(mode=0o600)
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
