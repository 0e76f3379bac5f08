"""What is composed is what the standard library reads, and what intake takes."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.campaigns.letter import Unfit, compose, message_key
from controller.intake import content

_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"),
                  include_characters="\n"),
    min_size=1, max_size=2000,
).filter(str.strip)  # fmt: skip
_SUBJECT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"),
                  include_characters=" "),
    min_size=1, max_size=300,
).map(lambda s: " ".join(s.split())).filter(bool)  # fmt: skip


def lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").rstrip("\n").split("\n")


@settings(deadline=None)
@given(_SUBJECT, _TEXT, st.none() | _TEXT)
def test_it_reads_as_it_was_written(subject: str, text: str, html: str | None) -> None:
    made = compose("rosa@reader.test", subject, text, html, "k")
    content.parse(made)
    assert made == compose("rosa@reader.test", subject, text, html, "k")
    message = message_from_bytes(made, policy=default)
    assert message["To"] == "rosa@reader.test"
    assert message["Subject"] == subject
    plain = message.get_body(("plain",))
    assert plain is not None
    assert lines(plain.get_content()) == lines(text)
    marked = message.get_body(("html",))
    assert (marked is None) == (html is None)
    if marked is not None and html is not None:
        assert lines(marked.get_content()) == lines(html)


@pytest.mark.parametrize(
    ("subject", "text", "words"),
    [
        ("a\r\nBcc: x@y.test", "t", "a line end in it"),
        ("a\x00", "t", "a control character"),
        (" \n", "t", "the subject is empty"),
        ("s" * 501, "t", "has 501 characters"),
        ("s", " \n", "the plain text is empty"),
        ("s", "a\x1bb", "the plain text has a control character"),
        ("s", "\ud800", "half of a character"),
        ("\ud800", "t", "half of a character"),
    ],
)
def test_what_cannot_stand_in_a_message(subject: str, text: str, words: str) -> None:
    with pytest.raises(Unfit, match=words):
        compose("a@b.test", subject, text, None, "k")


def test_a_key_follows_from_campaign_step_and_address_whatever_its_case() -> None:
    assert message_key("c", 0, "A@b.test") == message_key("c", 0, "a@b.test")
    keys = {message_key(c, s, a) for c in ("c", "d") for s in (0, 1) for a in ("a@b", "b@b")}
    assert len(keys) == 8
    assert all(len(key) <= 200 for key in keys)
