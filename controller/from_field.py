"""The From: line of a message that came without one, and others like it. Pure.

A display name is a quoted string where it is ASCII, else encoded words (RFC 2047) of at most 75
characters, split between characters and folded.
"""

from __future__ import annotations

import base64

# 75 characters less "=?utf-8?b?" and "?=" leave 63, of which whole groups of four: 45 octets.
_WORD_OCTETS = 45


def from_line(display_name: str, address: str) -> bytes:
    """`From: "Name" <address>` with CRLF. The name has no control characters (inventory.schema)."""
    return address_line("From", display_name, address)


def address_line(field: str, display_name: str, address: str) -> bytes:
    """The same of another field with one address."""
    if not display_name:
        return f"{field}: <{address}>\r\n".encode()
    if display_name.isascii():
        quoted = display_name.replace("\\", "\\\\").replace('"', '\\"')
        return f'{field}: "{quoted}" <{address}>\r\n'.encode()
    phrase = "\r\n ".join(encoded_words(display_name))
    return f"{field}: {phrase}\r\n <{address}>\r\n".encode()


def encoded_words(text: str) -> list[str]:
    """RFC 2047 encoded words of at most 75 characters each, to be joined by folded line ends."""
    words, octets = [], b""
    for character in text:
        more = character.encode("utf-8")
        if len(octets) + len(more) > _WORD_OCTETS:
            words.append(octets)
            octets = b""
        octets += more
    return [f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in (*words, octets)]
