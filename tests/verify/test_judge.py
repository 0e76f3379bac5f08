"""The judge over messages signed here, with a DNS that is a dictionary."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from lab.dns_lookup import Lookup, LookupFailed
from lab.verify.judge import Delivery, Judge
from lab.verify.verdict import Verdict

SOURCE = "198.51.100.7"
SENDER = "ann+0123@acme.test"
BODY = b"Hello,\r\n\r\n..dots\r\n\xc3\xa9\r\n"
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def public_key() -> str:
    import base64

    der = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


@dataclass
class Known(Lookup):
    """A lookup that knows what it is given and fails for names in `down`."""

    zone: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    down: frozenset[str] = frozenset()

    def _ask(self, name: str, kind: str) -> tuple[str, ...]:
        if name in self.down:
            raise LookupFailed(name)
        return self.zone.get((name, kind), ())


def zone(**changes: str) -> dict[tuple[str, str], tuple[str, ...]]:
    records = {
        "dkim": ("pf1._domainkey.acme.test", "TXT", f"v=DKIM1; k=rsa; p={public_key()}"),
        "spf": ("acme.test", "TXT", f"v=spf1 ip4:{SOURCE} -all"),
        "dmarc": ("_dmarc.acme.test", "TXT", "v=DMARC1; p=reject; rua=mailto:d@acme.test"),
        "ptr": ("7.100.51.198.in-addr.arpa", "PTR", "out7.acme.test."),
        "a": ("out7.acme.test", "A", SOURCE),
    }
    return {
        (name, kind): (changes.get(what, data),)
        for what, (name, kind, data) in records.items()
        if changes.get(what) != ""
    }


def signed(body: bytes = BODY, author: bytes = b"Ann <ann@acme.test>") -> bytes:
    message = b"From: " + author + b"\r\nTo: b@c.test\r\nSubject: x\r\n\r\n" + body
    headers = [b"From", b"To", b"Subject"]
    return bytes(dkim.sign(message, b"pf1", b"acme.test", PEM, include_headers=headers) + message)


def judged(
    tmp_path: Path, content: bytes, records: dict[tuple[str, str], tuple[str, ...]], **other: str
) -> Verdict:
    raw = tmp_path / "m.eml"
    raw.write_bytes(content)
    down = frozenset(other.pop("down", "").split())
    delivery = Delivery(
        raw, other.get("source", SOURCE), "out7.acme.test", other.get("sender", SENDER)
    )
    return Judge(Known("", zone=records, down=down)).judge(delivery)


def test_a_message_as_it_should_be_passes_everything(tmp_path: Path) -> None:
    verdict = judged(tmp_path, signed(), zone())
    assert (verdict.dkim, verdict.dkim_domain) == ("pass", "acme.test")
    assert (verdict.spf, verdict.dmarc, verdict.fcrdns) == ("pass", "pass", "pass")
    assert verdict.ptr == ("out7.acme.test",)


def test_one_changed_octet_fails_dkim_and_spf_still_carries_dmarc(tmp_path: Path) -> None:
    verdict = judged(tmp_path, signed().replace(b"Hello", b"Hallo"), zone())
    assert (verdict.dkim, verdict.spf, verdict.dmarc) == ("fail", "pass", "pass")


def test_an_unsigned_message_from_a_foreign_address_fails_dmarc(tmp_path: Path) -> None:
    content = signed().partition(b"From: Ann")
    verdict = judged(tmp_path, b"From: Ann" + content[2], zone(), source="198.51.100.8")
    assert (verdict.dkim, verdict.spf, verdict.dmarc) == ("none", "fail", "fail")
    assert verdict.fcrdns == "fail"


def test_proven_but_unaligned_domains_fail_dmarc(tmp_path: Path) -> None:
    records = zone() | {("_dmarc.bank.test", "TXT"): ("v=DMARC1; p=reject",)}
    verdict = judged(tmp_path, signed(author=b"ceo@bank.test"), records)
    assert (verdict.dkim, verdict.spf, verdict.dmarc) == ("pass", "pass", "fail")


def test_a_subdomain_aligns_unless_the_policy_is_strict(tmp_path: Path) -> None:
    content = signed(author=b"ann@news.acme.test")
    assert judged(tmp_path, content, zone()).dmarc == "pass"
    strict = zone(dmarc="v=DMARC1; p=reject; adkim=s; aspf=s")
    assert judged(tmp_path, content, strict).dmarc == "fail"


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (zone(dkim=""), ("fail", "pass", "pass", "pass")),
        (zone(spf=""), ("pass", "none", "pass", "pass")),
        (zone(dmarc=""), ("pass", "pass", "none", "pass")),
        (zone(ptr=""), ("pass", "pass", "pass", "fail")),
        (zone(a="198.51.100.9"), ("pass", "pass", "pass", "fail")),
        (zone(spf="v=spf1 -all"), ("pass", "fail", "pass", "pass")),
        (zone(dmarc="v=DMARC1; p=perhaps"), ("pass", "pass", "none", "pass")),
    ],
)
def test_each_missing_or_wrong_record_shows_in_its_verdict(
    tmp_path: Path,
    records: dict[tuple[str, str], tuple[str, ...]],
    expected: tuple[str, str, str, str],
) -> None:
    verdict = judged(tmp_path, signed(), records)
    assert (verdict.dkim, verdict.spf, verdict.dmarc, verdict.fcrdns) == expected


def test_a_failing_dns_is_not_taken_for_a_missing_record(tmp_path: Path) -> None:
    names = "pf1._domainkey.acme.test acme.test _dmarc.acme.test 7.100.51.198.in-addr.arpa"
    verdict = judged(tmp_path, signed(), zone(), down=names)
    found = (verdict.dkim, verdict.spf, verdict.dmarc, verdict.fcrdns)
    assert found == ("temperror",) * 4


def test_two_from_addresses_have_no_domain(tmp_path: Path) -> None:
    assert judged(tmp_path, signed(author=b"a@acme.test, b@acme.test"), zone()).dmarc == "permerror"
