"""A receiver process, spoken to over real sockets."""

from __future__ import annotations

import json
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.receivers.records import Record, read_records
from lab.receivers.settings import MailExchanger, Provider, ReceiverSettings
from lab.receivers.tls import make_authority, make_certificate, tlsa_data

FROM = "ann+0123@acme.test"
TO = "bob@google.test"


@dataclass
class Running:
    folder: Path
    rules: Path
    tls: Path
    port: int

    def say(self, *entries: dict[str, object]) -> None:
        fresh = self.rules.with_suffix(".new")
        fresh.write_text(json.dumps({"rules": entries}))
        fresh.rename(self.rules)

    def records(self) -> list[Record]:
        return list(read_records(self.folder / "google"))

    def connect(self, tls: bool = True) -> smtplib.SMTP:
        smtp = smtplib.SMTP("127.0.0.1", self.port, local_hostname="out7.acme.test", timeout=20)
        smtp.ehlo()
        if tls:
            context = ssl.create_default_context(cafile=str(self.tls / "ca.pem"))
            smtp.starttls(context=context)
            smtp.ehlo()
        return smtp


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("receivers")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    provider = Provider("google", ("google.test",), (MailExchanger("mx", "127.0.0.1", 10),))
    settings = ReceiverSettings(
        folder, folder / "tls", folder / "rules.json", (provider,), port, outbound="127.0.0.1:1"
    )
    settings.write(folder / "settings.json")
    make_authority(folder / "tls")
    make_certificate(folder / "tls", "google", ["mx"], ["127.0.0.1"])
    command = [sys.executable, "-m", "lab.receivers", "--settings", str(folder / "settings.json")]
    with subprocess.Popen([*command, "--provider", "google"], cwd=Path.cwd()) as process:
        deadline = time.monotonic() + 30
        while not (folder / "google" / "ready").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Running(folder, folder / "rules.json", folder / "tls", port)
        process.terminate()
        assert process.wait(20) == 0
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _no_rules(running: Running) -> None:
    running.say()


def test_octets_are_kept_exactly(running: Running) -> None:
    content = (
        b"Subject: \xc3\xa9\r\nFrom: <ann@acme.test>\r\n\r\n.\r\n..\r\n...dots\r\n"
        + b"x" * 998
        + b"\r\n."
        + b"y" * 997
        + b"\r\n\x80\xff\x00\r\n\r\n\r\n"
    )
    with running.connect() as smtp:
        smtp.sendmail(FROM, [TO], content, mail_options=["BODY=8BITMIME"])
    record = running.records()[-1]
    assert (running.folder / "google" / record.raw).read_bytes() == content
    assert (record.kind, record.sender, record.recipient) == ("accepted", FROM, TO)
    assert (record.source, record.helo, record.tls) == ("127.0.0.1", "out7.acme.test", "TLSv1.3")
    assert set(record.options) == {"BODY=8BITMIME", f"SIZE={len(content)}"}


def test_plain_text_sessions_are_recorded_as_such(running: Running) -> None:
    with running.connect(tls=False) as smtp:
        smtp.sendmail(FROM, [TO], b"\r\nx\r\n")
    assert running.records()[-1].tls == ""


def test_what_a_large_provider_offers_is_offered(running: Running) -> None:
    with running.connect() as smtp:
        offered = set(smtp.esmtp_features)
    assert {"pipelining", "8bitmime", "smtputf8", "size", "enhancedstatuscodes"} <= offered
    assert "auth" not in offered


def test_pipelined_commands_are_answered_in_order(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port), 20) as raw, raw.makefile("rb") as f:
        assert f.readline().startswith(b"220 mx ")
        raw.sendall(b"EHLO a.test\r\n")
        while f.readline()[3:4] == b"-":
            pass
        raw.sendall(
            f"MAIL FROM:<{FROM}>\r\nRCPT TO:<x@other.test>\r\nRCPT TO:<{TO}>\r\nDATA\r\n".encode()
        )
        assert [f.readline()[:3] for _ in range(4)] == [b"250", b"554", b"250", b"354"]
        raw.sendall(b"S: 1\r\n\r\nhi\r\n.\r\nMAIL FROM:<>\r\nQUIT\r\n")
        assert [f.readline()[:3] for _ in range(3)] == [b"250", b"250", b"221"]
    assert [r.kind for r in running.records()[-2:]] == ["refused", "accepted"]


def test_smtputf8_addresses_are_kept(running: Running) -> None:
    with running.connect() as smtp:
        smtp.sendmail("ünal@acme.test", ["bøb@google.test"], b"\r\nx\r\n", ["SMTPUTF8"])
    record = running.records()[-1]
    assert (record.sender, record.recipient) == ("ünal@acme.test", "bøb@google.test")


def test_a_refusal_is_answered_and_recorded_in_the_same_words(running: Running) -> None:
    running.say({"action": {"kind": "reply", "reply": "google.unauthenticated", "stage": "dot"}})
    with running.connect() as smtp, pytest.raises(smtplib.SMTPDataError) as refusal:
        smtp.sendmail(FROM, [TO], b"\r\nx\r\n")
    record = running.records()[-1]
    assert (record.kind, record.stage, record.raw) == ("refused", "dot", "")
    assert "5.7.26" in record.reply
    assert refusal.value.smtp_code == 550


def test_greylisting_over_the_wire(running: Running) -> None:
    running.say({"action": {"kind": "greylist", "delay_s": 0.3}})
    with running.connect() as smtp:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            smtp.sendmail(FROM, [TO], b"\r\nx\r\n")
        time.sleep(0.4)
        smtp.sendmail(FROM, [TO], b"\r\nx\r\n")
    assert [r.kind for r in running.records()[-2:]] == ["deferred", "accepted"]


@pytest.mark.parametrize(("keep", "kind"), [(True, "unanswered"), (False, "dropped")])
def test_a_cut_after_the_final_dot(running: Running, keep: bool, kind: str) -> None:
    running.say({"action": {"kind": "drop", "stage": "dot", "keep": keep}})
    smtp = running.connect()
    with pytest.raises(smtplib.SMTPServerDisconnected):
        smtp.sendmail(FROM, [TO], b"\r\nx\r\n")
    assert running.records()[-1].kind == kind
    assert bool(running.records()[-1].raw) == keep


def test_a_cut_in_mid_data(running: Running) -> None:
    running.say({"action": {"kind": "drop", "stage": "data", "after_bytes": 1000}})
    smtp = running.connect()
    with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
        smtp.sendmail(FROM, [TO], b"\r\n" + b"x" * 70 + b"\r\n" * 200_000)
    smtp.close()
    assert (running.records()[-1].kind, running.records()[-1].stage) == ("dropped", "data")


def test_a_refusal_in_the_greeting_closes_the_connection(running: Running) -> None:
    running.say({"action": {"kind": "reply", "reply": "yahoo.deferred", "stage": "connect"}})
    with pytest.raises(smtplib.SMTPConnectError) as refusal:
        smtplib.SMTP("127.0.0.1", running.port, timeout=20)
    assert refusal.value.smtp_code == 421
    assert running.records()[-1].stage == "connect"


def test_a_bad_rules_file_leaves_the_old_rules_in_force(running: Running) -> None:
    running.say({"action": {"kind": "reply", "reply": "plain.busy"}})
    with running.connect() as smtp:
        for _ in range(2):
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                smtp.sendmail(FROM, [TO], b"\r\nx\r\n")
            running.rules.write_text("{ nonsense")


def test_a_late_dsn_is_kept_even_where_it_cannot_be_delivered(running: Running) -> None:
    running.say({"action": {"kind": "late-dsn", "delay_s": 0}})
    with running.connect() as smtp:
        smtp.sendmail(FROM, [TO], b"Subject: orig\r\n\r\nx\r\n")
    deadline = time.monotonic() + 20
    while not (found := list((running.folder / "google").glob("sent/*.eml"))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    text = found[0].read_text()
    assert f"Final-Recipient: rfc822; {TO}" in text
    assert "Subject: orig" in text


def test_the_tlsa_record_names_the_key(running: Running) -> None:
    usage, selector, matching, digest = tlsa_data(running.tls, "google").split()
    assert (usage, selector, matching, len(digest)) == ("3", "1", "1", 64)
