"""Addresses as RFC 5321 writes them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.intake.address import MalformedAddress, domain_of, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("a@b.test", "a@b.test"),
        ("User.Name+tag@Example.TEST", "User.Name+tag@example.test"),
        ("!#$%&'*+/=?^_`{|}~-@x.test", "!#$%&'*+/=?^_`{|}~-@x.test"),
        ('"john doe"@example.test', '"john doe"@example.test'),
        (r'"a\"b\\c@d"@example.test', r'"a\"b\\c@d"@example.test'),
        ("x@xn--bcher-kva.test", "x@xn--bcher-kva.test"),
        ("a" * 64 + "@x.test", "a" * 64 + "@x.test"),
        ("a@" + "b" * 63 + ".test", "a@" + "b" * 63 + ".test"),
        ("a@3com.test", "a@3com.test"),
    ],
)
def test_well_formed_addresses_are_taken_with_the_domain_in_lower_case(
    text: str, address: str
) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("nobody", "there is no @"),
        ("@x.test", "neither a dot-string nor a quoted string"),
        ("a@", "not fully qualified"),
        (".a@x.test", "neither a dot-string nor a quoted string"),
        ("a.@x.test", "neither"),
        ("a..b@x.test", "neither"),
        ("a b@x.test", "neither"),
        ("a,b@x.test", "neither"),
        ("<a@x.test>", "neither"),
        ('""@x.test', "neither"),
        ('"a"b@x.test', "neither"),
        ('"a"b"@x.test', "neither"),
        ("a@b@x.test", "neither"),
        ("a@localhost", "not fully qualified"),
        ("a@x.test.", "not a host name"),
        ("a@.test", "not a host name"),
        ("a@x..test", "not a host name"),
        ("a@-x.test", "not a host name"),
        ("a@x-.test", "not a host name"),
        ("a@x_y.test", "not a host name"),
        ("a@" + "b" * 64 + ".test", "not a host name"),
        ("a@192.0.2.1", "an IP address is no domain"),
        ("a@[192.0.2.1]", "address literals are not taken"),
        ("a@[IPv6:2001:db8::1]", "address literals are not taken"),
        ("a" * 65 + "@x.test", "more than 64 octets"),
        ("a@" + ".".join(["b" * 60] * 5), "more than 254 octets"),
        ("a@bücher.test", "write it as A-labels"),
        ("jürgen@x.test", "SMTPUTF8 is not supported"),
        ("a@x.test\r\nRCPT TO:<b@x.test>", "control characters"),
        ("a\x00@x.test", "control characters"),
        ("a@x.test\n", "control characters"),
    ],
)
def test_malformed_addresses_are_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(MalformedAddress, match=re.escape(why)):
        parse(text)


@given(st.text(max_size=80) | st.from_regex(r"[ -~]{0,20}@[ -~]{0,20}", fullmatch=True))
def test_what_is_taken_is_one_printable_line_and_stable(text: str) -> None:
    try:
        address = parse(text)
    except MalformedAddress as error:
        said = str(error)
    else:
        said = ""
    if said:
        assert said.isprintable()
        return
    assert re.fullmatch(r"[ -~]+@[a-z0-9.-]+", address)
    assert parse(address) == address
    assert domain_of(address) in text.lower()
