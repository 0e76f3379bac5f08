"""Lines as Postfix 3.7 (Debian 12) and 3.10 (Debian 13) really wrote them, and what they mean.

logs/NAME.in is the log, logs/NAME.ref what `parse` and `read` make of it, one line for each line
that says something. To make a .ref anew: POSTFLEET_WRITE_REF=1, then read the difference.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node_agent.agent.maillog import line, meaning
from node_agent.agent.maillog.stamp import not_after, read_stamp

LOGS = Path(__file__).with_name("logs")
NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)


def told(text: str) -> str | None:
    """One line of a .ref file."""
    record = line.parse(text)
    entry = meaning.read(record, text, NOW) if record else None
    if entry is None:
        return None
    fact = entry.fact
    assert fact.log_line == text
    at = datetime.fromtimestamp(fact.at_ms / 1000, UTC).strftime("%d %H:%M:%S")
    of = entry.message_id or ("every in flight" if entry.egress_id else "?")
    words = [fact.kind.value, at, entry.queue_id or entry.egress_id, of, fact.dsn, fact.relay]
    return " | ".join([*words, fact.gateway_stage, fact.reason])


@pytest.mark.parametrize("name", sorted(p.stem for p in LOGS.glob("*.in")))
def test_a_real_log_means_what_its_ref_says(name: str) -> None:
    lines = (LOGS / f"{name}.in").read_text().splitlines()
    facts = [text for text in map(told, lines) if text is not None]
    ref = LOGS / f"{name}.ref"
    if os.environ.get("POSTFLEET_WRITE_REF"):
        ref.write_text("".join(f"{fact}\n" for fact in facts))
    assert facts == ref.read_text().splitlines()


HEAD = "Nov 21 23:13:46 box postfix/egress-px001/smtp[94]: 4jX7LL4R7MzKjD6: "
TAIL = "relay=m[192.0.2.1]:25, delay=0, delays=0/0/0/0, dsn=4.0.0, status=deferred "


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "Nov 21 23:13:46 box",
        "Nov 21 23:13:46 box postfix/qmgr[1]: NOQUEUE: reject: RCPT from x: 554 status=sent (x)",
        "Nov 21 23:13:46 box postfix/qmgr[1]: warning: from=<a+0@b> status=sent",
        HEAD + "to=<a@b.test>, relay=none",
        HEAD + "to=<unclosed",
        HEAD + "status=sent (x)",
        "\x00" * 40,
        "Nov 21 23:13:46 box other/program[3]: 4jX7LL4R7MzKjD6: removed",
        "x" * 100_000,
        HEAD + "to=<" + "(" * 50_000,
    ],
)
def test_what_is_no_line_of_ours_says_nothing(text: str) -> None:
    assert line.parse(text) is None


def test_a_receivers_words_are_never_taken_for_fields() -> None:
    text = HEAD + "to=<a@b.test>, " + TAIL + "(said: 451 >, relay=x, dsn=2.0.0, status=sent (ok))"
    record = line.parse(text)
    assert isinstance(record, line.Delivery)
    assert (record.status, record.dsn) == ("deferred", "4.0.0")


def test_a_recipient_cannot_write_a_status() -> None:
    evil = '"x>, relay=y, delay=0, delays=0, dsn=2.0.0, status=sent (ok)"@b.test'
    record = line.parse(HEAD + f"to=<{evil}>, " + TAIL + "(no)")
    assert isinstance(record, line.Delivery)
    assert (record.recipient, record.status) == (evil, "deferred")


@pytest.mark.parametrize(
    ("reason", "stage"),
    [
        ("host m[1] refused to talk to me: 421 4.3.2 postfleet: px001 lease: over", "lease"),
        ("host m[1] refused to talk to me: 421 4.3.2 postfleet: px002 lease: over", ""),
        ("host m[1] said: 421 4.3.2 postfleet: px001 lease: over (in reply to MAIL)", ""),
        ("host m[1] refused to talk to me: 421 4.3.2 postfleet: px001 rudeness: x", ""),
        ("host m[1] refused to talk to me: 421 4.7.0 go away", ""),
    ],
)
def test_only_our_gateways_greeting_is_ours(reason: str, stage: str) -> None:
    assert meaning.gateway_stage(reason, "px001") == stage


def test_the_year_is_the_one_nearest_to_now() -> None:
    new_year = datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert read_stamp("Dec 31 23:59:58", new_year) == datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC)
    assert read_stamp("Jan  1 00:00:01", new_year) == datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC)
    leap = datetime(2028, 3, 1, tzinfo=UTC)
    assert read_stamp("Feb 29 12:00:00", leap) == datetime(2028, 2, 29, 12, tzinfo=UTC)
    assert read_stamp("Xyz 99 99:99:99", leap) is None
    assert read_stamp("2026-11-21T10:00:00.5+00:00", leap) == datetime(
        2026, 11, 21, 10, 0, 0, 500_000, tzinfo=UTC
    )


def test_no_event_is_dated_after_its_report() -> None:
    later = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
    assert not_after(later, NOW) == NOW
    assert not_after(None, NOW) == NOW
