"""Reasons of Postfix's log, taken apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.replies import Reply, Speaker, read_reason, read_reply
from controller.replies.reply import MOST_TEXT


def test_the_lines_of_a_reply_become_one_sentence() -> None:
    """As Postfix logged it (datacadamia.com/marketing/email/postfix/spam)."""
    reply = read_reason(
        "host gmail-smtp-in.l.google.com[74.125.192.26] said: 421-4.7.28 [192.99.55.226 15] Our "
        "system has detected an unusual rate of 421-4.7.28 unsolicited mail originating from your "
        "IP address. To protect our 421-4.7.28 users from spam, mail sent from your IP address has "
        "been temporarily 421-4.7.28 rate limited. Please visit 421-4.7.28 "
        "https://support.google.com/mail/?p=UnsolicitedRateLimitError to 421 4.7.28 review our "
        "Bulk Email Senders Guidelines. k10si2978071qtp.33 - gsmtp (in reply to end of DATA "
        "command)"
    )
    assert (reply.code, reply.enhanced) == (421, "4.7.28")
    assert reply.host == "gmail-smtp-in.l.google.com"
    assert "unusual rate of unsolicited mail originating" in reply.text
    assert "421" not in reply.text
    assert reply.text.endswith("- gsmtp")


def test_a_greeting_without_enhanced_codes() -> None:
    reply = read_reason(
        "host mx01.emig.gmx.net[212.227.17.5] refused to talk to me: 554-gmx.net (mxgmx116) "
        "Nemesis ESMTP Service not available 554-No SMTP service 554-Bad DNS PTR resource record. "
        "554 For explanation visit http://postmaster.gmx.com/en/error-messages?c=rdns"
    )
    assert (reply.code, reply.enhanced) == (554, "")
    assert "not available No SMTP service Bad DNS PTR resource record. For" in reply.text


def test_numbers_in_a_single_line_stay() -> None:
    assert read_reply("452 4.3.1 at most 452 messages").text == "at most 452 messages"


def test_our_own_greeting_is_nobody_elses() -> None:
    said = "421 4.3.2 postfleet: px001 lease: this node holds no lease"
    assert read_reply(said).speaker is Speaker.GATEWAY
    reason = f"host mx.x.test[203.0.113.5] refused to talk to me: {said}"
    assert read_reason(reason).speaker is Speaker.GATEWAY
    suspended = f"delivery temporarily suspended: {reason}"
    assert read_reason(suspended).speaker is Speaker.GATEWAY


def test_what_was_not_attempted_is_nobodys_word() -> None:
    reply = read_reason(
        "delivery temporarily suspended: host mx.x.test[203.0.113.5] said: 421 4.7.0 later (in "
        "reply to MAIL FROM command)"
    )
    assert reply.speaker is Speaker.NOBODY
    lost = "delivery temporarily suspended: connect to mx.x.test[203.0.113.5]:25: timed out"
    assert read_reason(lost, "4.4.1").speaker is Speaker.NOBODY


def test_postfix_speaks_for_itself() -> None:
    reply = read_reason("connect to mx.x.test[203.0.113.5]:25: Connection timed out", "4.4.1")
    assert reply == Reply(
        Speaker.POSTFIX, 0, "4.4.1", "connect to mx.x.test[203.0.113.5]:25: Connection timed out"
    )


@given(st.text(max_size=3000), st.text(max_size=10))
def test_no_reason_is_too_odd(reason: str, dsn: str) -> None:
    reply = read_reason(reason, dsn)
    assert len(reply.text) <= MOST_TEXT
    assert reply.code == 0 or 200 <= reply.code <= 599


@given(st.sampled_from(["421 4.7.0", "550 5.1.1", "554"]), st.text("ab 5.-", max_size=60))
def test_a_single_line_keeps_its_words(codes: str, words: str) -> None:
    reply = read_reply(f"{codes} x{words}")
    assert reply.text == " ".join(f"x{words}".split())
