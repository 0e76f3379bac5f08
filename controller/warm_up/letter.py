"""The octets of a message of warm-up mail, as intake takes them. Pure.

Nothing in them says what they are: the same fields as person-to-person mail has, and what intake
adds to every message of the client (Date, Message-ID, List-Unsubscribe, Feedback-ID, From).
"""

from __future__ import annotations

import quopri
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.from_field import address_line
from controller.warm_up import text

_WIDTH = 74


@dataclass(frozen=True, slots=True)
class Person:
    """A mailbox as it stands in an address field."""

    address: str
    display_name: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """A message of the thread that went out before: its Message-ID with <>, who wrote it and when
    (local time of the one who answers)."""

    message_id: str
    writer: Person
    at: datetime


def letter(thread: str, earlier: Sequence[Earlier], writer: Person, recipient: Person) -> bytes:
    """The message that follows on `earlier`, the oldest first; the first of its thread for none."""
    position = len(earlier)
    body = _wrapped(text.own_words(thread, position, writer.display_name, recipient.display_name))
    if earlier and text.quotes(thread, position):
        body += _quoted(thread, position - 1, earlier[-1], writer)
    head = address_line("To", recipient.display_name, recipient.address)
    head += f"Subject: {'Re: ' if earlier else ''}{text.subject(thread)}\r\n".encode("ascii")
    head += b"".join(_references(earlier))
    return head + _mime(body)


def _references(earlier: Sequence[Earlier]) -> list[bytes]:
    """RFC 5322 section 3.6.4."""
    if not earlier:
        return []
    chain = "\r\n ".join(each.message_id for each in earlier)
    return [
        f"In-Reply-To: {earlier[-1].message_id}\r\n".encode(),
        f"References: {chain}\r\n".encode(),
    ]


def _mime(body: str) -> bytes:
    octets = (body.rstrip("\n") + "\n").encode("utf-8")
    coding = b"7bit" if body.isascii() else b"quoted-printable"
    if coding != b"7bit":
        octets = quopri.encodestring(octets)
    return (
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: " + coding + b"\r\n\r\n" + octets.replace(b"\n", b"\r\n")
    )


def _quoted(thread: str, position: int, answered: Earlier, writer: Person) -> str:
    said = text.own_words(
        thread, position, answered.writer.display_name, writer.display_name
    )  # fmt: skip
    lines = "".join(f"> {line}".rstrip() + "\n" for line in _wrapped(said).splitlines())
    when = answered.at.strftime("%a, %d %b %Y at %H:%M")
    name = answered.writer.display_name or answered.writer.address
    return f"\n\nOn {when}, {name} wrote:\n{lines}"


def _wrapped(body: str) -> str:
    return "\n".join(
        textwrap.fill(line, _WIDTH, break_long_words=False, break_on_hyphens=False)
        for line in body.split("\n")
    )
