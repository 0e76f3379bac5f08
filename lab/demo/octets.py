"""Compares a message as submitted with it as received, octet by octet. Pure.

On its way a message gains header fields in front (trace, signature, what the controller adds); its
own fields and its body must arrive as they were.
"""

from __future__ import annotations

import re

_END_OF_HEADER = b"\r\n\r\n"
# A field with its continuation lines (RFC 5322 section 2.2.3).
_FIELD = re.compile(rb"[^\r\n]+(?:\r\n[ \t][^\r\n]*)*\r\n")
_SHOWN_OCTETS = 40


def split(content: bytes) -> tuple[bytes, bytes]:
    """(header section with the CRLF of its last field, body). RFC 5322 section 2.1."""
    if content.startswith(b"\r\n"):
        return b"", content[2:]
    head, found, body = content.partition(_END_OF_HEADER)
    return (head + b"\r\n", body) if found else (head, b"")


def fields(head: bytes) -> list[bytes]:
    """The header's fields, each with its folding and final CRLF, in order."""
    return _FIELD.findall(head)


def body_difference(submitted: bytes, received: bytes) -> str:
    """Where the bodies first differ; '' when they are the same octets."""
    want, got = split(submitted)[1], split(received)[1]
    if want == got:
        return ""
    place = next(
        (n for n, (a, b) in enumerate(zip(want, got, strict=False)) if a != b),
        min(len(want), len(got)),
    )
    shown = slice(place, place + _SHOWN_OCTETS)
    return (
        f"{len(got)} octets instead of {len(want)}; from octet {place}: "
        f"{got[shown]!r} instead of {want[shown]!r}"
    )


def header_difference(submitted: bytes, received: bytes) -> str:
    """The first submitted field that did not arrive, unchanged and in order; '' when all did."""
    rest = iter(fields(split(received)[0]))
    for field in fields(split(submitted)[0]):
        if not any(field == candidate for candidate in rest):
            return f"{field[:100]!r} is missing, changed or out of order"
    return ""
