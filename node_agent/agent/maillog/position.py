"""Where in the log the reader stands, in a form that survives renaming, copying and restarts."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

# Enough to tell any two log files apart (the first lines carry time stamps and process ids), and
# little enough to be compared at each look.
FINGERPRINT_OCTETS = 1024


@dataclass(frozen=True, slots=True)
class Position:
    """All complete lines before `offset` of one file were read.

    `head_octets`, `head_sha256`: fingerprint of the file's beginning, at most FINGERPRINT_OCTETS;
    it tells a truncated file that has grown again, and finds a copy.
    """

    inode: int
    offset: int
    head_octets: int
    head_sha256: str
    # Wall time of the last moment at which lines may have been lost; 0: never.
    gap_ms: int = 0

    def as_json(self) -> dict[str, Any]:
        """For the spool."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Position | None:
        """The position stored before; None for nothing or another format."""
        if not isinstance(value, dict):
            return None
        try:
            return cls(**value)
        except TypeError:
            return None


def fingerprint(head: bytes) -> tuple[int, str]:
    """(octets, SHA-256) of the beginning of a file."""
    head = head[:FINGERPRINT_OCTETS]
    return len(head), hashlib.sha256(head).hexdigest()


def begins_alike(head: bytes, position: Position) -> bool:
    """Whether a file that begins with `head` may be the one of `position`."""
    if len(head) < position.head_octets or not position.head_octets:
        return not position.head_octets and not position.offset
    return hashlib.sha256(head[: position.head_octets]).hexdigest() == position.head_sha256
