"""Why a message is not taken. Data for the sender; inside intake it travels as an exception."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """The codes of SubmitResult.code; submission.proto names the same ones."""

    MALFORMED_RECIPIENT = "malformed-recipient"
    MALFORMED_CONTENT = "malformed-content"
    HEADER_INJECTION = "header-injection"
    TOO_LARGE = "too-large"
    UNKNOWN_CLIENT = "unknown-client"
    UNKNOWN_MAILBOX = "unknown-mailbox"
    SENDER_MISMATCH = "sender-mismatch"
    SUPPRESSED = "suppressed"
    KEY_REUSED = "key-reused"
    BAD_KEY = "bad-key"
    BAD_TIME = "bad-time"


@dataclass(frozen=True, slots=True)
class Rejection:
    """`error` says what was found, where, and what is allowed, for the person who sent it."""

    code: Code
    error: str


class Rejected(Exception):
    """Carries a rejection up to `check`, which makes it data."""

    def __init__(self, code: Code, error: str) -> None:
        super().__init__(error)
        self.rejection = Rejection(code, error)


def shown(value: str | bytes, limit: int = 80) -> str:
    """A sender's octets as they may stand in an error: one printable line, cut."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    cut = text if len(text) <= limit else text[:limit] + "…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
