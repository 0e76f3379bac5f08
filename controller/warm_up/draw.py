"""Chance that a text determines: the same draws on every machine, for ever. Pure.

`Draw("thread/17").fraction()` is 0 or more and below 1; the next call on it gives another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")
_BITS = 53


class Draw:
    """SHA-256 of the text and a counter; Python's own generators promise less about the future."""

    def __init__(self, text: str) -> None:
        self._text = text.encode("utf-8")
        self._number = 0

    def fraction(self) -> float:
        """Evenly from 0 up to 1."""
        self._number += 1
        digest = hashlib.sha256(self._number.to_bytes(4, "big") + self._text).digest()
        return (int.from_bytes(digest[:8], "big") >> (64 - _BITS)) / (1 << _BITS)

    def below(self, count: int) -> int:
        """A whole number from 0 to count - 1."""
        return int(self.fraction() * count)

    def pick(self, items: Sequence[_T]) -> _T:
        """One of them."""
        return items[self.below(len(items))]

    def chance(self, probability: float) -> bool:
        """True so often."""
        return self.fraction() < probability

    def several(self, items: Sequence[_T], count: int) -> list[_T]:
        """So many different ones, or all, in a drawn order."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]
