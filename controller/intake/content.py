"""The octets of a message: form, size, and who it says it is from. Pure.

Looks at every octet with a few scans in C (every accepted message passes here, so what is searched
for is what a good one lacks); does not decode MIME and never changes anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from controller.intake import address, header
from controller.intake.header import Header
from controller.intake.originator import only_address
from controller.intake.rejection import Code, Rejected, shown

# RFC 5322 section 2.1.1, without CRLF.
LINE_OCTETS = 998

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_NAMES = {b"\r": "a CR without LF", b"\n": "an LF without CR", b"\0": "a NUL"}
# Without tab, CR, LF.
_CONTROLS = bytes({*range(0x20), 0x7F} - {0x09, 0x0A, 0x0D})


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
    section = content[: head.octets]
    if len(section.translate(None, _CONTROLS)) != len(section):
        found = next(octet for octet in section if octet in _CONTROLS)
        raise Rejected(Code.HEADER_INJECTION, f"a control character (0x{found:02x}) in the header")
    return Content(head, _mailbox(head, b"from"), _mailbox(head, b"sender"))


def _check_lines(content: bytes) -> None:
    if not content.endswith(b"\r\n"):
        what = "it does not end with CRLF" if content else "it is empty"
        raise Rejected(Code.MALFORMED_CONTENT, what)
    lines = content.split(b"\r\n")
    rest = b"".join(lines)
    if b"\n" in rest or b"\r" in rest or b"\0" in rest:
        raise _bare(content)
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
    found = only_address(value)
    if found is None:
        raise Rejected(
            Code.MALFORMED_CONTENT,
            f"the field {shown(name)}, {shown(value)!r}, must hold exactly one address",
        )
    try:
        return address.parse(found.decode("utf-8", "backslashreplace"))
    except address.MalformedAddress as error:
        raise Rejected(Code.MALFORMED_CONTENT, f"the field {shown(name)}: {error}") from None
