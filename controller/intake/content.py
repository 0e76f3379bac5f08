"""The octets of a message: form, size, and who it says it is from. Pure.

Looks at every octet with a few scans in C; does not decode MIME and never changes anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from controller.intake import address, header
from controller.intake.header import Header
from controller.intake.rejection import Code, Rejected, shown

# RFC 5322 section 2.1.1, without CRLF.
LINE_OCTETS = 998

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_NAMES = {b"\r": "a CR without LF", b"\n": "an LF without CR", b"\0": "a NUL"}
_CONTROL = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")

# RFC 5322 section 3.4, one mailbox: an optional phrase and the address in brackets, or the address
# alone; comments around. Octets above 0x7f may stand in phrase and comments (RFC 6532). The
# quantifiers are possessive: a hostile value costs one pass.
_COMMENTS = rb"(?:[ \t]*+\((?:[^()\\]|\\.)*+\))*+[ \t]*+"
_ATOM = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\x80-\xff-]++"
_QUOTED = rb'"(?:[^"\\]|\\.)*+"'
_ADDR = rb'(?:"(?:[^"\\]|\\.)++"|[^\s"<>()\[\],;:@\\]++)@[^\s"<>(),;:@\\]++'
_PHRASE = rb"(?:(?:" + _ATOM + rb"|" + _QUOTED + rb")" + _COMMENTS + rb")*+"
_ONE_MAILBOX = re.compile(
    _COMMENTS + rb"(?:" + _PHRASE + rb"<(" + _ADDR + rb")>|(" + _ADDR + rb"))" + _COMMENTS
)


@dataclass(frozen=True, slots=True)
class Content:
    """What intake needs to know of a message. Addresses as `address.parse` gives them."""

    header: Header
    from_address: str | None
    sender_address: str | None


def parse(content: bytes) -> Content:
    """Checks everything that needs no knowledge of the fleet. Raises Rejected."""
    _check_lines(content)
    head = header.parse(content)
    if match := _CONTROL.search(content, 0, head.octets):
        raise Rejected(
            Code.HEADER_INJECTION, f"a control character (0x{match[0][0]:02x}) in the header"
        )
    return Content(head, _mailbox(head, b"from"), _mailbox(head, b"sender"))


def _check_lines(content: bytes) -> None:
    if not content.endswith(b"\r\n"):
        what = "it does not end with CRLF" if content else "it is empty"
        raise Rejected(Code.MALFORMED_CONTENT, what)
    ends = content.count(b"\r\n")
    if content.count(b"\r") != ends or content.count(b"\n") != ends or b"\0" in content:
        raise _bare(content)
    lines = content.split(b"\r\n")
    if max(map(len, lines)) > LINE_OCTETS:
        number = next(n for n, line in enumerate(lines, 1) if len(line) > LINE_OCTETS)
        raise Rejected(
            Code.MALFORMED_CONTENT,
            f"line {number} has {len(lines[number - 1])} octets, {LINE_OCTETS} are allowed",
        )


def _bare(content: bytes) -> Rejected:
    match = _BARE.search(content)
    assert match is not None
    line = content.count(b"\r\n", 0, match.start()) + 1
    blank = re.search(rb"\r?\n\r?\n", content)
    in_header = blank is None or match.start() <= blank.start()
    code = Code.HEADER_INJECTION if in_header else Code.MALFORMED_CONTENT
    return Rejected(code, f"{_NAMES[match[0]]} in line {line}; lines end with CRLF")


def _mailbox(head: Header, name: bytes) -> str | None:
    value = head.values.get(name)
    if value is None:
        return None
    match = _ONE_MAILBOX.fullmatch(value)
    if match is None:
        raise Rejected(
            Code.MALFORMED_CONTENT,
            f"the field {shown(name)}, {shown(value)!r}, must hold exactly one address",
        )
    try:
        return address.parse((match[1] or match[2]).decode("utf-8", "backslashreplace"))
    except address.MalformedAddress as error:
        raise Rejected(Code.MALFORMED_CONTENT, f"the field {shown(name)}: {error}") from None
