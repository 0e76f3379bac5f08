"""The header section of a message, taken apart without changing an octet. Pure.

Stricter than RFC 5322 where readers differ on where the header ends or what a field is: no blank
before the colon (section 4.5.8), no line of blanks alone (section 4.2), nothing that is not a
field. What one program reads as header and the next as body is how headers are injected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from controller.intake.rejection import Code, Rejected, shown

# A field with its continuation lines. Names: RFC 5322 section 2.2, printable but the colon.
_FIELD = re.compile(rb"([!-9;-~]+):((?:[^\r\n]*)(?:\r\n[ \t]+[^ \t\r\n][^\r\n]*)*)\r\n")
# Postfix discards what is longer (header_size_limit, postconf(5)): it would change the message.
FIELD_OCTETS = 100_000
# RFC 5322 section 3.6 and RFC 2045 section 3: at most once. Two of them show one thing to the
# filter and another to the reader. The list headers: RFC 2369 section 3.
SINGLETONS = frozenset({
    b"date", b"from", b"sender", b"reply-to", b"to", b"cc", b"message-id", b"in-reply-to",
    b"references", b"subject", b"mime-version", b"content-type", b"content-transfer-encoding",
    b"content-id", b"content-description", b"content-disposition",
    b"list-unsubscribe", b"list-unsubscribe-post", b"feedback-id",
})  # fmt: skip
# Set by the last hop or naming people who must not be named; a sender has no business with them.
_FORBIDDEN = {
    b"return-path": "the receiver sets it (RFC 5321 section 4.4)",
    b"bcc": "it would show who must not be shown; submit one message per recipient",
    b"resent-bcc": "it would show who must not be shown",
}
_WATCHED = SINGLETONS | _FORBIDDEN.keys()
_FOLD = re.compile(rb"\r\n([ \t])")


@dataclass(frozen=True, slots=True)
class Header:
    """`values`: of each field name in lower case the last value, unfolded and stripped.

    Names in SINGLETONS stand there once in the message. `octets` is the length of the section
    without the empty line that ends it.
    """

    values: Mapping[bytes, bytes]
    octets: int


def parse(content: bytes) -> Header:
    """The header of a message whose line ends are all CRLF. Raises Rejected."""
    end = 0 if content.startswith(b"\r\n") else content.find(b"\r\n\r\n") + 2
    if end == 1:
        end = len(content)
    values: dict[bytes, bytes] = {}
    position = 0
    for field, value in _FIELD.findall(content, 0, end):
        octets = len(field) + len(value) + 3
        if not content.startswith(field, position):
            break
        position += octets
        name = field.lower()
        if name in _WATCHED:
            _check_watched(name, values)
        if octets > FIELD_OCTETS:
            raise Rejected(
                Code.MALFORMED_CONTENT,
                f"the field {shown(name)} has more than {FIELD_OCTETS:,} octets",
            )
        if b"\r" in value:
            value = _FOLD.sub(rb"\1", value)
        values[name] = value.strip()
    if position != end:
        raise _not_a_field(content, position)
    return Header(values, end)


def _check_watched(name: bytes, before: Mapping[bytes, bytes]) -> None:
    if name in _FORBIDDEN:
        raise Rejected(Code.HEADER_INJECTION, f"the field {shown(name)}: {_FORBIDDEN[name]}")
    if name in before:
        raise Rejected(Code.MALFORMED_CONTENT, f"the field {shown(name)} stands there twice")


def _not_a_field(content: bytes, position: int) -> Rejected:
    line = content[position : content.find(b"\r\n", position)]
    if line[:1] in (b" ", b"\t"):
        what = "a continuation line without a field before it"
    else:
        # The field itself may be well-formed and end in a line of blanks.
        what = "not 'Name: value', or continued by a line of blanks alone"
    number = content.count(b"\r\n", 0, position) + 1
    return Rejected(
        Code.MALFORMED_CONTENT, f"line {number} of the header, {shown(line)!r}, is {what}"
    )
