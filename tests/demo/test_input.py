"""What the demo reads, and how it readdresses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.intake import content as intake
from inventory.reference import render
from lab.demo.adapt import Sender, letters, readdress
from lab.demo.errors import DemoError
from lab.demo.mail_plan import PROVIDERS, expected_refusals, recipients, rules
from lab.demo.octets import fields, split
from lab.demo.options import SAMPLES, parse
from lab.demo.run import read_samples
from lab.receivers.decide import Memory, Transaction, decide
from lab.receivers.replies import Reply

SENDERS = [Sender("ann@acme.test", "acme"), Sender("bob@acme.test", "acme")]


def test_the_shipped_samples_cover_what_they_should() -> None:
    samples = dict(read_samples(SAMPLES))
    everything = b"".join(samples.values())
    assert len(samples) >= 20
    assert max(len(line) for line in everything.split(b"\r\n")) == 998
    assert b"\r\n.\r\n..\r\n" in everything
    assert any(octet > 127 for octet in everything)
    assert any(split(s)[0] and max(split(s)[0]) > 127 for s in samples.values())
    assert any(split(s)[1] == b"" for s in samples.values())
    for charset in (b"iso-2022-jp", b"gb18030", b"iso-8859-1", b"utf-8"):
        assert charset in everything


def test_every_readdressed_sample_is_taken_by_the_controllers_intake() -> None:
    planned = letters(read_samples(SAMPLES), SENDERS, recipients(200))
    for letter in planned:
        parsed = intake.parse(letter.content)
        assert parsed.from_address in (None, letter.mailbox)
        assert letter.named or letter.mailbox == (parsed.from_address or "")


def test_only_the_addresses_change() -> None:
    sample = (
        b"From: B\xc3\xbccher <x@old.example>\r\nTo: Ann\r\n <y@old.example>\r\n"
        b"Cc: c@old.example\r\nMessage-ID: <1@old.example>\r\n"
        b"Subject: a\r\n\tb\r\n\r\n<x@old.example>\r\n"
    )
    changed = readdress(sample, "ann@acme.test", "r@google.test", once=True)
    assert changed == (
        b"From: B\xc3\xbccher <ann@acme.test>\r\nTo: Ann\r\n <r@google.test>\r\n"
        b"Message-ID: <1@old.example>\r\nSubject: a\r\n\tb\r\n\r\n<x@old.example>\r\n"
    )
    again = readdress(sample, "", "r@google.test", once=False)
    names = [field.partition(b":")[0] for field in fields(split(again)[0])]
    assert names == [b"To", b"Subject"]


def test_a_list_of_recipients_becomes_the_one() -> None:
    changed = readdress(b"To: a@x.example,\r\n b@x.example\r\n\r\n", "", "r@y.test", once=True)
    assert changed == b"To: <r@y.test>\r\n\r\n"


def test_every_mailbox_sends_and_the_rest_is_partly_left_to_the_controller() -> None:
    planned = letters([("a", b"Subject: x\r\n\r\n")], SENDERS, recipients(6))
    assert [letter.mailbox for letter in planned[:2]] == ["ann@acme.test", "bob@acme.test"]
    assert "" in {letter.mailbox for letter in planned[2:]}


def test_an_input_without_messages_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DemoError, match="--input"):
        read_samples(tmp_path)


def test_recipients_differ_reach_all_providers_and_have_every_fate() -> None:
    addresses = recipients(1200)
    assert len(set(addresses)) == 1200
    assert {a.rpartition("@")[2] for a in addresses} == {d for d, _, _ in PROVIDERS.values()}
    assert {a.partition(".")[0] for a in addresses} == {
        "reader", "grey", "slow", "gone", "blocked",
    }  # fmt: skip
    assert 20 < expected_refusals(addresses) < 100


def test_the_rules_give_each_recipient_its_fate() -> None:
    provider_of = {domain: name for name, (domain, _, _) in PROVIDERS.items()}
    memory = Memory()
    for address in recipients(1200):
        who = Transaction(
            provider_of[address.rpartition("@")[2]], "198.51.100.1", "a@b.test", address
        )
        answers = [
            decide(rules(), stage, who, memory, now).answer
            for now in (0.0, 100.0, 200.0)
            for stage in ("rcpt", "dot")
        ]
        codes = [answer.code // 100 if isinstance(answer, Reply) else 2 for answer in answers]
        fate = address.partition(".")[0]
        expected = {"reader": 2, "grey": 4, "slow": 4, "gone": 5, "blocked": 5}[fate]
        assert (expected in codes) == (expected != 2 or codes == [2] * 6), (address, codes)
        if fate in ("grey", "slow"):
            assert codes[-2:] == [2, 2]


def test_options_default_to_the_reference_fleet() -> None:
    options = parse([], "")
    assert (options.nodes, options.mailboxes, options.messages) == (8, 1200, 0)
    assert render(options.nodes, options.mailboxes).count("  - id: px") == 150
