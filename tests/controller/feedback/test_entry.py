"""What a row of feedback may say, which message it names, and whom it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.feedback.entry import BadEntry, Entry, Kind, entry, message_named
from controller.message_id import encode

NOW = datetime(2026, 11, 3, 9, tzinfo=UTC)
ID = encode(0x0123_4567_89AB_CDEF_0123_4567_89AB_CDEF)


def made(**fields: Any) -> Entry:
    row = {"kind": "reply", "message": ID, "recipient": "", "mailbox": "", "at": None,
           "evidence": "", "now": NOW}  # fmt: skip
    return entry(**(row | fields))


@given(st.integers(0, 2**128 - 1), st.sampled_from(["%s", "<%s@x.test>", "ada+%s@x.test",
       "a+b+%s@x.test", " %s "]), st.booleans())  # fmt: skip
def test_an_id_a_message_id_and_an_envelope_sender_name_one_message(
    value: int, form: str, shouted: bool
) -> None:
    text = form % encode(value)
    assert message_named(text.upper() if shouted else text) == encode(value)


@given(st.text())
def test_other_texts_name_none_and_never_break_anything(text: str) -> None:
    try:
        named = message_named(text)
    except BadEntry:
        return
    assert named in text.lower()


def test_recipient_and_mailbox_name_a_message_too_in_any_case() -> None:
    read = made(message="", recipient="Reader@Example.org", mailbox="ADA@x.test")
    assert (read.message_id, read.recipient, read.mailbox) == (
        None,
        "reader@example.org",
        "ada@x.test",
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "sneeze"}, "kind"),
        ({"message": "nonsense"}, "message"),
        ({"message": "", "recipient": "reader@example.org"}, "message"),
        ({"message": "", "recipient": "reader", "mailbox": "ada@x.test"}, "recipient"),
        ({"message": "", "recipient": "r@example.org", "mailbox": "ada"}, "mailbox"),
        ({"at": NOW + timedelta(hours=1)}, "at"),
        ({"at": NOW.replace(tzinfo=None)}, "at"),
        ({"evidence": "x" * 2001}, "evidence"),
        ({"evidence": "\x00"}, "evidence"),
    ],
)
def test_a_bad_row_says_which_field_is_wrong(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(BadEntry, match=f"^{field}: "):
        made(**fields)


def test_a_clock_a_little_ahead_counts_as_now() -> None:
    assert made(at=NOW + timedelta(minutes=5)).at == NOW
    assert made(at=NOW - timedelta(days=3)).at == NOW - timedelta(days=3)


@pytest.mark.parametrize(
    ("kind", "evidence", "ends"),
    [
        (Kind.REPLY, "", False),
        (Kind.UNSUBSCRIBE, "", True),
        (Kind.COMPLAINT, "", True),
        (Kind.BOUNCE, "", False),
        (Kind.BOUNCE, "550 5.1.1 <r@example.org>: no such user", True),
        (Kind.BOUNCE, "452 4.2.2 mailbox full", False),
        (Kind.BOUNCE, "550 5.7.1 blocked, listed by Spamhaus", False),
        (Kind.BOUNCE, "550 5.1.1 rejected: your address is listed by Spamhaus", False),
    ],
)
def test_who_asks_for_it_or_does_not_exist_is_written_to_no_more(
    kind: Kind, evidence: str, ends: bool
) -> None:
    assert made(kind=kind, evidence=evidence).ends_recipient is ends
