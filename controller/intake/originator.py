"""The one address in From or Sender (RFC 5322 section 3.6.2, one mailbox). Pure.

Takes `address` and `phrase <address>` with comments anywhere between; not lists, not groups, not
comments within comments: where readers differ on who a message is from, it is not taken. One pass
over the value, however hostile: what no token fits ends the reading.
"""

from __future__ import annotations

import re

# The forms that nearly all mail uses.
_PLAIN = re.compile(
    rb"[A-Za-z0-9 .'_=?/+-]*<([A-Za-z0-9.'_=/+-]+@[A-Za-z0-9.-]+)>"
    rb"|([A-Za-z0-9.'_=/+-]+@[A-Za-z0-9.-]+)"
)
# Octets above 0x7f may stand in phrases and comments (RFC 6532); they are part of `word`.
_TOKEN = re.compile(
    rb"""(?P<blank>[ \t]+)
    | (?P<comment>\((?:[^()\\]|\\.)*\))
    | (?P<quoted>"(?:[^"\\]|\\.)*")
    | <(?P<angle>[^<>"]*|"(?:[^"\\]|\\.)*"@[^<>"]*)>
    | (?P<word>[^\x00-\x20\x7f"(),:;<>@\[\\\]]+)
    | (?P<at>@)""",
    re.VERBOSE | re.DOTALL,
)


def only_address(value: bytes) -> bytes | None:
    """The address in an unfolded field value as it stands there; None if not exactly one.

    Whether it is well-formed is for `address.parse` to say.
    """
    if plain := _PLAIN.fullmatch(value):
        return plain[1] or plain[2]
    tokens = _tokens(value)
    if tokens is None:
        return None
    kinds = [kind for kind, _ in tokens]
    if kinds and kinds[-1] == "angle" and set(kinds[:-1]) <= {"word", "quoted"}:
        return tokens[-1][1]
    if kinds in (["word", "at", "word"], ["quoted", "at", "word"]):
        return b"".join(text for _, text in tokens)
    return None


def _tokens(value: bytes) -> list[tuple[str, bytes]] | None:
    """Kind and text of each token but blanks and comments; None where something is no token."""
    tokens = []
    position = 0
    while position < len(value):
        match = _TOKEN.match(value, position)
        if match is None or match.lastgroup is None:
            return None
        if match.lastgroup not in ("blank", "comment"):
            tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens
