"""MX hosts and whose they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.providers.table import OTHER, UNKNOWN, TableError, open_table


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("gmail-smtp-in.l.google.com.", "google"),
        ("ASPMX.L.GOOGLE.COM", "google"),
        ("smtp.google.com", "google"),
        ("contoso-com.mail.protection.outlook.com", "microsoft"),
        ("outlook-com.olc.protection.outlook.com", "microsoft"),
        ("contoso-com.o-v1.mx.microsoft", "microsoft"),
        ("mta7.am0.yahoodns.net", "yahoo"),
        ("mx01.mail.icloud.com", "apple"),
        ("mxs.mail.ru", "mailru"),
        ("mx.yandex.ru", "yandex"),
        ("mx00.emig.gmx.net", "gmx"),
        ("mx-ha03.web.de", "gmx"),
        ("mx0a-00191d01.pphosted.com", "proofpoint"),
        ("eu-smtp-inbound-1.mimecast.com", "mimecast"),
        ("d290004a.ess.barracudanetworks.com", "barracuda"),
        ("mx1.mail.example.net", "mail.example.net"),
        ("mx2.mail.example.net", "mail.example.net"),
        ("example.net", "example.net"),
        ("notgoogle.com", "notgoogle.com"),
    ],
)
def test_a_host_has_a_provider(host: str, provider: str) -> None:
    assert open_table().of_host(host) == provider


def test_metrics_get_few_labels() -> None:
    table = open_table()
    assert table.label("google") == "google"
    assert table.label("mail.example.net") == OTHER
    assert table.label(UNKNOWN) == UNKNOWN


def test_an_operator_adds_and_overrules(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[google]\nmx = ["*.google.test"]\n[inhouse]\nmx = ["smtp.google.com"]\n')
    table = open_table(own)
    assert table.of_host("mx.google.test") == "google"
    assert table.of_host("smtp.google.com") == "inhouse"
    assert table.of_host("aspmx.l.google.com") == "google"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a\n", "not TOML"),
        ("[Ab]\nmx = ['x.test']\n", r"\[Ab\]: a provider is 1 to 31"),
        ("[unknown]\nmx = ['x.test']\n", "not unknown or other"),
        ("[a]\nmx = []\n", "mx must list host names"),
        ("[a]\nmx = ['*x.test', 3]\n", r"'\*x.test': a host name"),
        ("[a]\nmx = ['x.test']\n[b]\nmx = ['x.test']\n", r"stands at \[a\] already"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, words: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(TableError, match=words):
        open_table(own)


@given(st.from_regex(r"([a-z0-9-]{1,10}\.){0,4}[a-z]{1,5}\.?", fullmatch=True))
def test_a_host_nobody_listed_never_gets_a_listed_name_by_chance(host: str) -> None:
    table = open_table()
    provider = table.of_host(host)
    assert provider
    if "." in host.rstrip(".") and not any(
        host.rstrip(".").endswith(pattern.removeprefix("*")) for pattern in table.patterns
    ):
        assert provider not in table.names
