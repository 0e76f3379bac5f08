"""Takes the reason of an attempt apart, as Postfix's smtp(8) wrote it between the parentheses.

    host mx1.x.test[203.0.113.5] said: 421-4.7.28 Our system has 421 4.7.28 detected … (in reply to
    end of DATA command)
    host mx1.x.test[203.0.113.5] refused to talk to me: 554 Blocked - see …
    connect to mx1.x.test[203.0.113.5]:25: Connection timed out

Lines of a reply stand in one line there, each still with its code; the codes in the middle are
taken out, so that a pattern meets the receiver's sentence as it was meant. What was not attempted
("delivery temporarily suspended: …" repeats the destination's last failure for every message that
waits) and what our own gateway said is told apart: neither is a receiver's word about this message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

MOST_TEXT = 1000
"""Characters of a reply that are looked at; receivers' lines have at most 512 octets (RFC 5321
section 4.5.3.1.5), and what matters stands at the beginning."""

OUR_OWN = "postfleet:"
"""With 421 4.3.2 the beginning of our gateway's greeting. See node_agent.gateway.admission."""

_NOT_ATTEMPTED = "delivery temporarily suspended: "
_SPOKEN = re.compile(r"host (?P<host>\S+?)(?:\[[^\]\s]*\])? (?:said|refused to talk to me): ")
_ASIDE = re.compile(r" \(in reply to [^()]*\)$")
_CODES = re.compile(
    r"(?P<code>[245]\d\d)(?P<more>[ -]|$)(?:(?P<enhanced>[245]\.\d{1,3}\.\d{1,3})(?:\s+|$))?"
)


class Speaker(StrEnum):
    """Whose words they are."""

    RECEIVER = "receiver"
    # No connection, no DNS, no TLS: Postfix speaks for itself.
    POSTFIX = "postfix"
    # Our own gateway's refusal.
    GATEWAY = "gateway"
    # The message was not attempted: a repetition of what was said about another one.
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Reply:
    """`code` 0 and `enhanced` "" where there is none; `text` is one line without codes."""

    speaker: Speaker
    code: int
    enhanced: str
    text: str
    host: str = ""

    def __str__(self) -> str:
        parts = (str(self.code or ""), self.enhanced, self.text)
        return " ".join(part for part in parts if part)


def read_reason(reason: str, dsn: str = "") -> Reply:
    """The reply in a reason. `dsn`: what Postfix logged; it counts where Postfix speaks itself."""
    line = " ".join(reason.split())
    attempted = line.removeprefix(_NOT_ATTEMPTED)
    spoken = _SPOKEN.match(attempted)
    if spoken is None:
        speaker = Speaker.POSTFIX if attempted is line else Speaker.NOBODY
        return Reply(speaker, 0, dsn, attempted[:MOST_TEXT])
    reply = read_reply(_ASIDE.sub("", attempted[spoken.end() :]), spoken["host"])
    if reply.speaker is Speaker.RECEIVER and attempted is not line:
        return Reply(Speaker.NOBODY, reply.code, reply.enhanced, reply.text, reply.host)
    return reply


def read_reply(words: str, host: str = "") -> Reply:
    """A reply by itself: `421-4.7.28 Our … 421 4.7.28 system`; also several lines of it."""
    line = " ".join(words.split())
    match = _CODES.match(line)
    if match is None:
        return Reply(Speaker.RECEIVER, 0, "", line[:MOST_TEXT], host)
    code, enhanced = match["code"], match["enhanced"] or ""
    text = line[match.end() :]
    if match["more"] == "-":
        text = re.sub(rf"(?<!\S){code}[ -](?:{re.escape(enhanced)}(?:\s+|$))?", "", text)
    ours = code == "421" and enhanced == "4.3.2" and text.startswith(OUR_OWN)
    speaker = Speaker.GATEWAY if ours else Speaker.RECEIVER
    return Reply(speaker, int(code), enhanced, text[:MOST_TEXT], host)
