"""A rendered message as RFC 5322 content, as intake takes it. Pure.

The same parts give the same octets: the MIME boundary follows from the message's key. From, Date,
Message-ID and what else intake adds are not here (controller.intake.addition). Lines that are too
long, or not ASCII, travel as quoted-printable (RFC 2045 section 6.7).
"""

from __future__ import annotations

import binascii
import hashlib
import re

from controller.from_field import encoded_words

MOST_SUBJECT = 500
# RFC 5322 section 2.1.1; what is longer is encoded.
_MOST_LINE = 900
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINE_END = re.compile(r"\r\n?|\n")


class Unfit(ValueError):
    """A rendered part cannot stand in a message; the text says which, and why."""


def message_key(campaign: str, step: int, address: str) -> str:
    """The idempotency key of a campaign's message: the same at every import."""
    digest = hashlib.sha256(address.lower().encode()).hexdigest()
    return f"campaign/{campaign}/{step}/{digest[:40]}"


def one_line(subject: str) -> str:
    """The rendered subject as it may stand in the header. Raises Unfit."""
    line = subject.strip(" \t\r\n")
    if _LINE_END.search(line):
        raise Unfit("the subject has a line end in it; what column puts it there?")
    if _CONTROL.search(line):
        raise Unfit("the subject has a control character in it")
    if not line:
        raise Unfit("the subject is empty")
    _utf8(line)
    if len(line) > MOST_SUBJECT:
        raise Unfit(f"the subject has {len(line):,} characters; at most {MOST_SUBJECT} are allowed")
    return line


def compose(address: str, subject: str, text: str, html: str | None, key: str) -> bytes:
    """The content. Raises Unfit."""
    head = f"To: <{address}>\r\nSubject: {_encoded(one_line(subject))}\r\nMIME-Version: 1.0\r\n"
    plain = _part("plain", text)
    if html is None:
        return head.encode() + plain
    boundary = f"=_{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    opening = f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'
    line = f"--{boundary}".encode()
    marked = _part("html", html)
    return b"".join((head.encode(), opening.encode(), line, b"\r\n", plain, line, b"\r\n", marked,
                     line, b"--\r\n"))  # fmt: skip


def _encoded(subject: str) -> str:
    if subject.isascii() and len(subject) <= _MOST_LINE and "=?" not in subject:
        return subject
    return "\r\n ".join(encoded_words(subject))


def _part(kind: str, text: str) -> bytes:
    if _CONTROL.search(text):
        raise Unfit(f"the {kind} text has a control character in it")
    if not text.strip():
        raise Unfit(f"the {kind} text is empty")
    body = _LINE_END.sub("\n", text)
    if not body.endswith("\n"):
        body += "\n"
    octets = _utf8(body)
    transfer = "7bit"
    if not body.isascii() or max(map(len, body.split("\n"))) > _MOST_LINE:
        octets, transfer = binascii.b2a_qp(octets, istext=True), "quoted-printable"
    head = (
        f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n"
    )
    return head.encode() + octets.replace(b"\n", b"\r\n")


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        # JSON can write half of a character.
        raise Unfit(f"{text[error.start]!a} is half of a character") from None
