"""Which messages are admitted, and what is added to them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.from_field import from_line
from controller.intake.check import (
    Admitted,
    Client,
    Facts,
    Read,
    Submission,
    admit,
    fingerprint,
    read,
)
from controller.intake.rejection import Code, Rejection
from controller.message_id import MessageId, new_message_id

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
FACTS = Facts(
    fleet="test",
    size_limit_octets=1000,
    clients={
        "acme": Client("acme", "https://u.acme.test/?m=", "stop@acme.test", "acme.test"),
        "empty": Client("empty", "https://u.empty.test/", "stop@empty.test", ""),
    },
    mailboxes={
        "ann@acme.test": ("acme", "Ann Example"),
        "bob@news.acme.test": ("acme", "Bob"),
        "eve@bolt.test": ("bolt", "Eve"),
    },
    suppressed={
        ("", "gone@x.test"): "bounced",
        ("acme", "@closed.test"): "asked",
        ("bolt", "r@x.test"): "not ours",
    },
    receivers={},
)
PLAIN = Submission("k1", "acme", "", "r@x.test", None, b"Subject: x\r\n\r\nbody\r\n")


def decide(submission: Submission, facts: Facts = FACTS) -> Admitted | Rejection:
    reading = read(submission)
    if isinstance(reading, Rejection):
        return reading
    return admit(reading, facts, MessageId("0" * 26), NOW)


def admitted(submission: Submission) -> Admitted:
    decision = decide(submission)
    assert isinstance(decision, Admitted), decision
    return decision


def sent_as(from_value: str, mailbox: str = "") -> Submission:
    content = f"From: {from_value}\r\n\r\nbody\r\n".encode()
    return replace(PLAIN, mailbox=mailbox, content=content)


def test_a_message_without_from_waits_for_the_planners_choice() -> None:
    one = admitted(PLAIN)
    assert one.mailbox is None
    assert one.not_before == NOW
    assert not one.added.startswith(b"From:")


def test_the_address_in_from_is_the_sender() -> None:
    assert admitted(sent_as("Ann <Ann@Acme.test>")).mailbox == "ann@acme.test"


def test_an_explicit_mailbox_goes_before_from_and_gives_from_where_it_is_missing() -> None:
    assert admitted(sent_as("x@acme.test", "ann@acme.test")).mailbox == "ann@acme.test"
    one = admitted(replace(PLAIN, mailbox="ANN@acme.test"))
    assert one.mailbox == "ann@acme.test"
    assert one.added.startswith(b'From: "Ann Example" <ann@acme.test>\r\n')


@pytest.mark.parametrize(
    ("submission", "code"),
    [
        (replace(PLAIN, client_id="nobody"), Code.UNKNOWN_CLIENT),
        (replace(PLAIN, client_id=""), Code.UNKNOWN_CLIENT),
        (replace(PLAIN, client_id="acme\0"), Code.UNKNOWN_CLIENT),
        (replace(PLAIN, client_id="empty"), Code.UNKNOWN_MAILBOX),
        (replace(PLAIN, mailbox="nobody@acme.test"), Code.UNKNOWN_MAILBOX),
        (replace(PLAIN, mailbox="eve@bolt.test"), Code.UNKNOWN_MAILBOX),
        (replace(PLAIN, mailbox="ann@acme.test\r\nX: y"), Code.HEADER_INJECTION),
        (replace(PLAIN, recipient="r@x.test\r\nDATA"), Code.HEADER_INJECTION),
        (replace(PLAIN, recipient="r"), Code.MALFORMED_RECIPIENT),
        (replace(PLAIN, recipient="gone@X.test"), Code.SUPPRESSED),
        (replace(PLAIN, recipient="GONE@x.test"), Code.SUPPRESSED),
        (replace(PLAIN, recipient="who@closed.test"), Code.SUPPRESSED),
        (replace(PLAIN, content=b"S: x\r\n\r\n" + b"y\r\n" * 400), Code.TOO_LARGE),
        (replace(PLAIN, idempotency_key=""), Code.BAD_KEY),
        (replace(PLAIN, idempotency_key="x" * 201), Code.BAD_KEY),
        (replace(PLAIN, idempotency_key="a\nb"), Code.BAD_KEY),
        (replace(PLAIN, idempotency_key="ü"), Code.BAD_KEY),
        (sent_as("eve@bolt.test"), Code.UNKNOWN_MAILBOX),
        (sent_as("nobody@acme.test"), Code.UNKNOWN_MAILBOX),
        (sent_as("ann+tag@acme.test"), Code.UNKNOWN_MAILBOX),
        (sent_as("bob@news.acme.test", "ann@acme.test"), Code.SENDER_MISMATCH),
        (sent_as("ann@acme.test.evil.test", "ann@acme.test"), Code.SENDER_MISMATCH),
        (replace(PLAIN, content=b"Sender: x@acme.test\r\n\r\n"), Code.SENDER_MISMATCH),
        (replace(PLAIN, mailbox="ann@acme.test", content=b"Sender: x@y.test\r\n\r\n"),
         Code.SENDER_MISMATCH),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_its_code(submission: Submission, code: Code) -> None:
    decision = decide(submission)
    assert isinstance(decision, Rejection)
    assert decision.code is code
    assert decision.error.isprintable()


def test_missing_header_lines_are_added_and_the_whole_is_one_message() -> None:
    one = admitted(replace(PLAIN, mailbox="bob@news.acme.test"))
    whole = message_from_bytes(one.added + PLAIN.content, policy=policy.default)
    assert dict(whole) == {
        "From": "Bob <bob@news.acme.test>",
        "Message-ID": f"<{'0' * 26}@news.acme.test>",
        "Date": "Sat, 21 Nov 2026 12:30:00 +0000",
        "List-Unsubscribe": f"<https://u.acme.test/?m={'0' * 26}>,"
        f" <mailto:stop@acme.test?subject=unsubscribe%20{'0' * 26}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Feedback-ID": "acme:test:postfleet",
        "Subject": "x",
    }
    assert whole.get_content() == "body\r\n"


def test_header_lines_that_are_there_are_not_added() -> None:
    content = (
        b"from: ann@acme.test\r\nMESSAGE-ID: <own@id>\r\ndate: yesterday\r\n"
        b"list-unsubscribe: <https://own.test/>\r\nfeedback-id: own:postfleet\r\n\r\nbody\r\n"
    )
    # One-click is promised for our own URL only.
    assert admitted(replace(PLAIN, content=content)).added == b""


def test_the_fingerprint_tells_messages_apart_however_their_parts_are_cut() -> None:
    base = fingerprint(PLAIN)
    others = [
        replace(PLAIN, mailbox="r", recipient="@x.test"),
        replace(PLAIN, recipient="r@x.tes", content=b"t" + PLAIN.content),
        replace(PLAIN, not_before=NOW),
        replace(PLAIN, content=PLAIN.content + b"\r\n"),
    ]
    prints = [fingerprint(other) for other in others]
    assert len({base, *prints}) == 5
    assert fingerprint(replace(PLAIN, idempotency_key="other")) == base


@given(
    st.builds(
        Submission,
        idempotency_key=st.text(max_size=12),
        client_id=st.sampled_from(["acme", "empty", "bolt", "", "\0"]) | st.text(max_size=5),
        mailbox=st.sampled_from(["", "ann@acme.test", "eve@bolt.test"]) | st.text(max_size=9),
        recipient=st.sampled_from(["r@x.test", "gone@x.test"]) | st.text(max_size=9),
        not_before=st.none() | st.datetimes(timezones=st.just(UTC)),
        content=st.sampled_from([PLAIN.content, b"From: ann@acme.test\r\n\r\n"]) | st.binary(),
    )
)
def test_whatever_comes_is_admitted_or_refused_in_printable_words(submission: Submission) -> None:
    decision = decide(submission)
    if isinstance(decision, Rejection):
        assert decision.error.isprintable()
        assert re.fullmatch("[a-z-]+", decision.code)
    else:
        assert decision.mailbox in (None, "ann@acme.test")
        assert decision.read.submission.client_id == "acme"


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=100))
def test_a_display_name_survives_in_from(name: str) -> None:
    line = from_line(name, "ann@acme.test")
    assert line.endswith(b"\r\n")
    assert line.isascii()
    assert max(map(len, line.split(b"\r\n"))) <= 140
    assert all(part[:1] in (b" ", b"") for part in line.split(b"\r\n")[1:])
    assert not any(re.search(rb"\S{79}", part) for part in line.split(b"\r\n") if b"=?" in part)
    parsed = message_from_bytes(line + b"\r\n", policy=policy.default)["from"]
    (address,) = parsed.addresses
    assert address.addr_spec == "ann@acme.test"
    if name.isascii() and name == " ".join(name.split()):
        assert address.display_name == name


def test_every_read_message_knows_how_it_may_be_suppressed() -> None:
    reading = read(replace(PLAIN, recipient="Some.One@X.Test"))
    assert isinstance(reading, Read)
    assert reading.suppressible() == ("some.one@x.test", "@x.test")
    assert len(new_message_id()) == 26
