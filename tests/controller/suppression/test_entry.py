"""Whom a suppression may name, and how it stands in the table."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.suppression.entry import BadEntry, entry, recipient_named


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Reader@Example.ORG", "reader@example.org"),
        ("  reader@example.org\t", "reader@example.org"),
        ("@Example.ORG", "@example.org"),
        ('"a@b"@example.org', '"a@b"@example.org'),
    ],
)
def test_recipients_are_named_in_lower_case(text: str, named: str) -> None:
    assert recipient_named(text) == named


@pytest.mark.parametrize("text", ["", "@", "@com", "example.org", "a b@example.org", "@a@b.test"])
def test_what_is_neither_an_address_nor_a_domain_is_refused(text: str) -> None:
    with pytest.raises(BadEntry, match="neither an address nor @domain"):
        recipient_named(text)


@given(st.text())
def test_whatever_is_taken_is_taken_again_as_it_stands(text: str) -> None:
    try:
        named = recipient_named(text)
    except BadEntry:
        return
    assert recipient_named(named) == named == named.lower()


def test_a_reason_is_one_line_and_a_time_says_where() -> None:
    assert entry("", "a@b.test", " ", "", None).reason == "request"
    with pytest.raises(BadEntry, match="reason: one line"):
        entry("", "a@b.test", "two\nlines", "", None)
    with pytest.raises(BadEntry, match="since: a time with its offset"):
        entry("", "a@b.test", "request", "", datetime(2026, 11, 1))  # noqa: DTZ001
    assert entry("", "a@b.test", "x", "", datetime(2026, 11, 1, tzinfo=UTC)).since
