"""A message as it was found in an input, and what was found wrong with one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

_BARE_LF = re.compile(rb"(?<!\r)\n")


@dataclass(frozen=True)
class InputMessage:
    """`source` says where it was found; empty fields are to be filled from the command line.

    `content`: RFC 5322 octets with CRLF line ends.
    """

    source: str
    content: bytes
    recipient: str = ""
    client: str = ""
    mailbox: str = ""
    not_before: datetime | None = None
    idempotency_key: str = ""


class InputError(Exception):
    """An input cannot be read as messages. `line` counts from 1; 0 where it is not about one."""

    def __init__(self, source: str, line: int, words: str) -> None:
        super().__init__(f"{source}:{line}: {words}" if line else f"{source}: {words}")


def with_crlf(octets: bytes) -> bytes:
    """Every line ends with CRLF, the last one too."""
    fixed = _BARE_LF.sub(b"\r\n", octets)
    return fixed if fixed.endswith(b"\r\n") else fixed + b"\r\n"
