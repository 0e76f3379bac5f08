"""The octets of a message: form, header, From."""

from __future__ import annotations

import time
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.intake import content, header
from controller.intake.rejection import Code, Rejected

INJECTED = Code.HEADER_INJECTION
MALFORMED = Code.MALFORMED_CONTENT


def rejection(octets: bytes) -> tuple[Code, str]:
    with pytest.raises(Rejected) as rejected:
        content.parse(octets)
    return rejected.value.rejection.code, rejected.value.rejection.error


@pytest.mark.parametrize(
    ("octets", "code", "said"),
    [
        (b"", MALFORMED, "it is empty"),
        (b"Subject: x\r\n\r\nbody", MALFORMED, "does not end with CRLF"),
        (b"Subject: x\nBcc: y\r\n\r\nbody\r\n", INJECTED, "an LF without CR in line 1"),
        (b"Subject: x\rBcc: y\r\n\r\nbody\r\n", INJECTED, "a CR without LF in line 1"),
        (b"Subject: x\0y\r\n\r\nbody\r\n", INJECTED, "a NUL in line 1"),
        (b"Subject: x\x0b\r\n\r\nbody\r\n", INJECTED, "a control character (0x0b)"),
        (b"Subject: x\x7f\r\n\r\nbody\r\n", INJECTED, "a control character (0x7f)"),
        (b"Subject: x\n\nbody\n.\r\n", INJECTED, "an LF without CR in line 1"),
        (b"Subject: x\r\n\r\nbo\ndy\r\n", MALFORMED, "an LF without CR in line 3"),
        (b"Subject: x\r\n\r\nbo\rdy\r\n", MALFORMED, "a CR without LF in line 3"),
        (b"Subject: x\r\n\r\n\0\r\n", MALFORMED, "a NUL in line 3"),
        (b"Subject: x\r\n\r\n.\r\r\n", MALFORMED, "a CR without LF"),
        (b"Subject: " + b"x" * 990 + b"\r\n\r\n", MALFORMED, "line 1 has 999 octets"),
        (b"S: x\r\n\r\n" + b"x" * 999 + b"\r\n", MALFORMED, "line 3 has 999 octets"),
        (b"Subject : x\r\n\r\n", MALFORMED, "not 'Name: value'"),
        (b"Subject x\r\n\r\n", MALFORMED, "line 1 of the header, 'Subject x'"),
        (b"To: a@b.test\r\nhello\r\n\r\n", MALFORMED, "line 2 of the header"),
        (b" folded: x\r\n\r\n", MALFORMED, "a continuation line without a field"),
        (b"To: a\r\n \t\r\nX: y\r\n\r\n", MALFORMED, "continuation line without a field"),
        ("Bétreff: x\r\n\r\n".encode(), MALFORMED, "not 'Name: value'"),
        (b": x\r\n\r\n", MALFORMED, "not 'Name: value'"),
        (b"From: a@b.test\r\nFROM: c@d.test\r\n\r\n", MALFORMED, "from stands there twice"),
        (b"Date: x\r\nDate: y\r\n\r\n", MALFORMED, "date stands there twice"),
        (b"Message-ID: <a@b>\r\nMessage-Id: <c@d>\r\n\r\n", MALFORMED, "twice"),
        (b"Bcc: hidden@x.test\r\n\r\n", INJECTED, "submit one message per recipient"),
        (b"Return-Path: <x@y.test>\r\n\r\n", INJECTED, "the receiver sets it"),
        (b"X: a\r\n" + b" y" * 400 + (b"\r\n" + b" y" * 400) * 130 + b"\r\n\r\n",
         MALFORMED, "more than 100,000 octets"),
        (b"From: a@b.test, c@d.test\r\n\r\n", MALFORMED, "exactly one address"),
        (b"From: group: a@b.test;\r\n\r\n", MALFORMED, "exactly one address"),
        (b"From: \r\n\r\n", MALFORMED, "exactly one address"),
        (b"From: A <a@b.test> <c@d.test>\r\n\r\n", MALFORMED, "exactly one address"),
        (b"From: <a@b.test>, <c@d.test>\r\n\r\n", MALFORMED, "exactly one address"),
        (b'From: "a@b.test <a@b.test>\r\n\r\n', MALFORMED, "exactly one address"),
        (b"From: a@b.test <c@d.test>\r\n\r\n", MALFORMED, "exactly one address"),
        (b"From: a@localhost\r\n\r\n", MALFORMED, "not fully qualified"),
        ("From: ä@b.test\r\n\r\n".encode(), MALFORMED, "SMTPUTF8"),
        (b"Sender: nobody\r\n\r\n", MALFORMED, "the field sender"),
    ],
)  # fmt: skip
def test_bad_content_is_refused_with_the_reason(octets: bytes, code: Code, said: str) -> None:
    got, error = rejection(octets)
    assert (got, said in error) == (code, True), error


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("a@b.test", "a@b.test"),
        ("<a@B.test>", "a@b.test"),
        ("Ann Example <a@b.test>", "a@b.test"),
        ("J. R. Example <a@b.test>", "a@b.test"),
        ('"Example, Ann" <a@b.test>', "a@b.test"),
        (r'"a \" <x@y.test>, b" <a@b.test>', "a@b.test"),
        ("=?utf-8?q?J=C3=BCrgen?= <a@b.test>", "a@b.test"),
        ("Jürgen Müller <a@b.test>", "a@b.test"),
        ("a@b.test (Ann, at home)", "a@b.test"),
        ("(first) Ann (second) <a@b.test> (third)", "a@b.test"),
        ("Ann\r\n Example\r\n\t<a@b.test>", "a@b.test"),
        ('"john doe"@b.test', '"john doe"@b.test'),
        ('X <"<b>"@b.test>', '"<b>"@b.test'),
        ("  a@b.test  ", "a@b.test"),
    ],
)
def test_from_is_read_in_all_its_forms(value: str, address: str) -> None:
    parsed = content.parse(f"From: {value}\r\nSubject: x\r\n\r\nbody\r\n".encode())
    assert parsed.from_address == address


@pytest.mark.parametrize(
    "octets",
    [
        b"\r\nbody without a header\r\n",
        b"Subject: only a header\r\n",
        b"Subject: x\r\n\r\n",
        b"Subject: x\r\n\r\n.\r\n..\r\n.hidden\r\n",
        b"Subject: \xff\xfe raw octets\r\n\r\n\x80\x81\r\n",
        b"Subject:\r\n\r\nempty value\r\n",
        b"Subject:\r\n folded at once\r\n\r\nbody\r\n",
        b"X-Long: " + b"x" * 990 + b"\r\n\r\n" + b"y" * 998 + b"\r\n",
        b"Received: a\r\nReceived: b\r\nDKIM-Signature: v=1\r\n\r\n\r\n\r\n\x01\x02\r\n",
    ],
)
def test_unusual_but_well_formed_content_is_taken(octets: bytes) -> None:
    content.parse(octets)


FRAGMENTS = st.sampled_from([
    b"From: a@b.test\r\n", b"Subject: x\r\n", b"\r\n", b"\r", b"\n", b"\0", b" \r\n", b"\t", b":",
    b"To: \"", b"(", b"\\", b"Bcc: x\r\n", b"x" * 500, b"<a@b.test>", b"From:", b"\xc3\xbc", b",",
])  # fmt: skip


@given(st.binary(max_size=300) | st.lists(FRAGMENTS, max_size=20).map(b"".join))
def test_garbage_is_refused_or_is_what_it_seems(octets: bytes) -> None:
    try:
        parsed = content.parse(octets)
    except Rejected as rejected:
        said = rejected.rejection.error
    else:
        said = ""
    if said:
        assert said.isprintable()
        return
    lines = octets.split(b"\r\n")
    assert all(len(line) <= 998 for line in lines)
    rest = octets.replace(b"\r\n", b"")
    assert not set(b"\r\n\0") & set(rest)
    # Another reader (the standard library's) sees the same fields, so nobody hides one.
    seen = message_from_bytes(octets, policy=policy.compat32)
    assert {name.lower() for name in seen} == {
        name.decode("ascii") for name in parsed.header.values
    }
    assert len(seen.get_all("from", [])) <= 1


@pytest.mark.parametrize(
    "value",
    [b"a" * 900, b"(" * 900, b'"' * 900, b"a " * 450, b"a@" * 450, b"(a" * 450, b"\\(" * 450,
     b"a(b)" * 220, b'"a" ' * 220],
)  # fmt: skip
def test_a_hostile_from_costs_one_pass(value: bytes) -> None:
    folded = b"\r\n ".join([value] * 100)
    start = time.process_time()
    with pytest.raises(Rejected):
        content.parse(b"From: " + folded + b"\r\n\r\n")
    # Not a measurement: backtracking would take longer than the universe lasts.
    assert time.process_time() - start < 20


def test_values_are_unfolded() -> None:
    parsed = header.parse(b"Subject: a\r\n b\r\n\tc\r\nX: y\r\n\r\n")
    assert parsed.values == {b"subject": b"a b\tc", b"x": b"y"}
    assert parsed.octets == len(b"Subject: a\r\n b\r\n\tc\r\nX: y\r\n")
