"""The fleet's keys: the CA, enrolment, sealing, DKIM, identities."""

from __future__ import annotations

import base64
import stat
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    load_der_public_key,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from controller.keys.authorisation import is_allowed
from controller.keys.authority import SERVER_NAME, FleetCa, open_fleet_ca
from controller.keys.credentials import ensure_operator
from controller.keys.dkim import make_dkim_keys
from controller.keys.enrolment import sign_node_request
from controller.keys.errors import (
    RefusedRequestError,
    UnknownIdentityError,
    UnsealError,
    UnusableStateError,
)
from controller.keys.identity import Identity, Kind, certificate_identity, peer_identity
from controller.keys.sealing import Sealer, dkim_key_row, open_sealer, proxy_password_row


@pytest.fixture
def ca(tmp_path: Path) -> FleetCa:
    return open_fleet_ca(tmp_path)


def request(key: object, name: str = "n1", san: x509.GeneralName | None = None) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    if san is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([san]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()  # type: ignore[arg-type]


def test_the_ca_is_made_once_and_found_again(tmp_path: Path) -> None:
    first, second = open_fleet_ca(tmp_path), open_fleet_ca(tmp_path)
    assert first.pem == second.pem
    key_mode = (tmp_path / "ca" / "ca.key").stat().st_mode
    assert stat.S_IMODE(key_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700


def test_a_ca_whose_key_is_another_ones_is_refused(tmp_path: Path) -> None:
    open_fleet_ca(tmp_path / "a")
    open_fleet_ca(tmp_path / "b")
    (tmp_path / "b/ca/ca.key").replace(tmp_path / "a/ca/ca.key")
    with pytest.raises(UnusableStateError, match="do not belong together"):
        open_fleet_ca(tmp_path / "a")


def test_a_ca_certificate_without_its_key_is_not_made_anew(tmp_path: Path) -> None:
    open_fleet_ca(tmp_path)
    (tmp_path / "ca/ca.key").unlink()
    with pytest.raises(UnusableStateError, match="restore"):
        open_fleet_ca(tmp_path)


def test_the_servers_certificate_has_all_names_and_the_controllers_uri(ca: FleetCa) -> None:
    issued = ca.issue_server(["10.80.0.1", "ctl.fleet.test", "10.80.0.1"])
    certificate = x509.load_pem_x509_certificate(issued.certificate_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [SERVER_NAME, "ctl.fleet.test"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.80.0.1"]
    assert certificate_identity(certificate).actor == "controller"
    certificate.verify_directly_issued_by(ca.certificate)


def test_a_request_gets_the_operators_node_id_and_none_of_its_own_names(ca: FleetCa) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    san = x509.UniformResourceIdentifier("spiffe://postfleet/operator/mallory")
    issued = sign_node_request(ca, "n7", request(key, "operator/mallory", san))
    certificate = x509.load_pem_x509_certificate(issued.certificate_pem)
    identity = certificate_identity(certificate)
    assert (identity.kind, identity.id) == (Kind.NODE, "n7")
    assert identity.certificate_sha256 == issued.certificate_sha256
    assert b"mallory" not in certificate.public_bytes(Encoding.DER)
    usage = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not usage.ca
    assert issued.key_pem == b""


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
    ],
    ids=["P-384", "RSA"],
)
def test_a_request_with_another_kind_of_key_is_refused(ca: FleetCa, key: object) -> None:
    with pytest.raises(RefusedRequestError, match="EC P-256 is allowed"):
        sign_node_request(ca, "n1", request(key))


def test_a_request_that_does_not_prove_its_key_is_refused(ca: FleetCa) -> None:
    pem = request(ec.generate_private_key(ec.SECP256R1()))
    der = bytearray(x509.load_pem_x509_csr(pem.encode()).public_bytes(Encoding.DER))
    der[-1] ^= 1
    body = base64.encodebytes(bytes(der)).decode()
    broken = f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"
    with pytest.raises(RefusedRequestError, match=r"not signed by the key|not a PEM"):
        sign_node_request(ca, "n1", broken)


@pytest.mark.parametrize("text", ["", "nonsense", "x" * 100_000, "-----BEGIN X-----\n"])
def test_what_is_no_request_is_refused(ca: FleetCa, text: str) -> None:
    with pytest.raises(RefusedRequestError):
        sign_node_request(ca, "n1", text)


def test_certificates_are_valid_on_machines_whose_clocks_are_hours_behind(ca: FleetCa) -> None:
    issued = ca.issue_identity(Kind.NODE, "n1")
    certificate = x509.load_pem_x509_certificate(issued.certificate_pem)
    assert certificate.not_valid_before_utc < datetime.now(UTC) - timedelta(hours=24)


class _Peer:
    def __init__(self, *pems: bytes) -> None:
        self._pems = pems

    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        return {"x509_pem_cert": self._pems}


def test_a_peer_is_who_its_uri_says(ca: FleetCa) -> None:
    issued = ca.issue_identity(Kind.CLIENT, "acme")
    identity = peer_identity(_Peer(issued.certificate_pem))
    assert identity == Identity(Kind.CLIENT, "acme", issued.certificate_sha256)
    assert identity.actor == "client/acme"


def test_a_peer_without_or_with_a_strange_certificate_is_nobody(ca: FleetCa) -> None:
    with pytest.raises(UnknownIdentityError):
        peer_identity(_Peer())
    key = ec.generate_private_key(ec.SECP256R1())
    for names in (
        [x509.DNSName("n1")],
        [x509.UniformResourceIdentifier("spiffe://elsewhere/node/n1")],
        [x509.UniformResourceIdentifier("spiffe://postfleet/node/../operator/x")],
        [
            x509.UniformResourceIdentifier("spiffe://postfleet/node/n1"),
            x509.UniformResourceIdentifier("spiffe://postfleet/operator/x"),
        ],
    ):
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(ca.certificate.subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(datetime.now(UTC))
            .not_valid_after(datetime.now(UTC) + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(ca.key, hashes.SHA256())
        )
        with pytest.raises(UnknownIdentityError):
            certificate_identity(certificate)


def test_ids_that_could_not_be_read_back_are_not_certified(ca: FleetCa) -> None:
    for id in ("", "a/b", "A", "a b", "x" * 64):
        with pytest.raises(ValueError, match="cannot stand"):
            ca.issue_identity(Kind.OPERATOR, id)


@pytest.mark.parametrize(
    ("kind", "service", "allowed"),
    [
        (Kind.NODE, "postfleet.v1.NodeService", True),
        (Kind.NODE, "postfleet.v1.FleetService", False),
        (Kind.NODE, "postfleet.v1.SubmissionService", False),
        (Kind.CLIENT, "postfleet.v1.SubmissionService", True),
        (Kind.CLIENT, "postfleet.v1.FleetService", False),
        (Kind.CLIENT, "postfleet.v1.NodeService", False),
        (Kind.OPERATOR, "postfleet.v1.FleetService", True),
        (Kind.OPERATOR, "postfleet.v1.SubmissionService", True),
        (Kind.OPERATOR, "postfleet.v1.NodeService", False),
        (Kind.CONTROLLER, "postfleet.v1.FleetService", False),
        (Kind.CLIENT, "grpc.health.v1.Health", True),
        (Kind.OPERATOR, "something.Else", False),
    ],
)
def test_who_may_call_what(kind: Kind, service: str, allowed: bool) -> None:
    assert is_allowed(Identity(kind, "x", b""), f"/{service}/Method") is allowed


def test_the_first_operators_credentials_are_made_once(ca: FleetCa, tmp_path: Path) -> None:
    assert ensure_operator(ca, tmp_path)
    before = (tmp_path / "operator/cert.pem").read_bytes()
    assert not ensure_operator(ca, tmp_path)
    assert (tmp_path / "operator/cert.pem").read_bytes() == before
    assert stat.S_IMODE((tmp_path / "operator/key.pem").stat().st_mode) == 0o600
    identity = certificate_identity(x509.load_pem_x509_certificate(before))
    assert identity.actor == "operator/admin"


def test_a_sealed_secret_opens_only_in_its_own_row_with_its_own_key(tmp_path: Path) -> None:
    sealer = open_sealer(tmp_path / "a")
    row = proxy_password_row("px1")
    sealed = sealer.seal(b"secret", row)
    assert open_sealer(tmp_path / "a").open(sealed, row) == b"secret"
    assert sealed != sealer.seal(b"secret", row)
    with pytest.raises(UnsealError, match="px2"):
        sealer.open(sealed, proxy_password_row("px2"))
    with pytest.raises(UnsealError):
        sealer.open(sealed, dkim_key_row("px1", "password"))
    with pytest.raises(UnsealError):
        open_sealer(tmp_path / "b").open(sealed, row)
    for damaged in (b"", sealed[:5], sealed[:-1], b"\x02" + sealed[1:]):
        with pytest.raises(UnsealError) as caught:
            sealer.open(damaged, row)
        assert "secret" not in str(caught.value)


def test_keys_never_stand_in_a_repr(tmp_path: Path, ca: FleetCa) -> None:
    sealer = open_sealer(tmp_path)
    assert repr(sealer.key) not in repr(sealer)
    assert "PRIVATE" not in repr(ca.issue_identity(Kind.CLIENT, "acme"))
    (pair,) = make_dkim_keys(["a.test"])
    assert "PRIVATE" not in repr(pair)


def test_a_sealing_key_of_the_wrong_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sealing.key").write_bytes(b"short")
    with pytest.raises(UnusableStateError, match="32 are expected"):
        open_sealer(tmp_path)
    assert Sealer(b"k" * 32).open(Sealer(b"k" * 32).seal(b"", "r"), "r") == b""


def test_dkim_keys_have_2048_bits_and_their_halves_belong_together() -> None:
    pairs = make_dkim_keys(["a.test", "b.test", "c.test"])
    assert [pair.domain for pair in pairs] == ["a.test", "b.test", "c.test"]
    assert len({pair.public_b64 for pair in pairs}) == 3
    for pair in pairs:
        private = load_pem_private_key(pair.private_pem.encode(), None)
        public = load_der_public_key(base64.b64decode(pair.public_b64))
        assert isinstance(private, rsa.RSAPrivateKey)
        assert private.key_size == 2048
        assert private.public_key() == public
