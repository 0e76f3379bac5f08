"""A private key is one PEM block with an RSA key in it, by its outer structure."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from node_agent.apply.private_key import rsa_key_problem
from tests.apply.specs import rsa_pem


def _pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def test_an_rsa_key_is_one() -> None:
    assert rsa_key_problem(rsa_pem()) is None
    assert rsa_key_problem(rsa_pem(1024)) is None
    assert rsa_key_problem(rsa_pem().rstrip("\n")) is None


def test_other_keys_are_none() -> None:
    assert "no RSA key" in str(rsa_key_problem(_pem(ec.generate_private_key(ec.SECP256R1()))))
    assert "no RSA key" in str(rsa_key_problem(_pem(ed25519.Ed25519PrivateKey.generate())))


def test_other_armour_is_refused() -> None:
    pem = rsa_pem()
    for bad in (
        pem.replace("PRIVATE KEY", "RSA PRIVATE KEY"),
        "\n" + pem,
        pem + "x",
        pem.replace("\n", "\r\n"),
        pem.replace("-----END", "x\n-----END\0"),
        "Comment: x\n" + pem,
    ):
        assert rsa_key_problem(bad) is not None


def test_a_cut_key_is_refused() -> None:
    lines = rsa_pem().splitlines(keepends=True)
    assert rsa_key_problem("".join(lines[:5] + lines[-1:])) is not None


@given(st.text())
def test_any_text_is_judged_without_an_error(text: str) -> None:
    assert rsa_key_problem(text) is not None
    armoured = f"-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"
    assert rsa_key_problem(armoured) is not None


@given(st.binary(max_size=40))
def test_any_octets_are_judged_without_an_error(octets: bytes) -> None:
    import base64

    body = base64.b64encode(octets).decode()
    rsa_key_problem(f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
