"""Ids of messages: 26 characters [0-9a-v] that sort by time and serve as the VERP token.

128 bits in base32hex (RFC 4648 section 7) in lower case without padding: 48 bits of milliseconds
since 1970, then 80 random ones, so nobody can guess the token of a message he did not get. Within
a process each id is greater than the one before, also when the clock stands still or steps back.
"""

from __future__ import annotations

import secrets
import threading
import time
from datetime import datetime
from typing import NewType

MessageId = NewType("MessageId", str)

LENGTH = 26
_RANDOM_BITS = 80
_DIGITS = "0123456789abcdefghijklmnopqrstuv"
# Two digits at a time: ids are made for every message.
_PAIRS = [a + b for a in _DIGITS for b in _DIGITS]
_SHIFTS = range(120, -10, -10)
# Steps within a millisecond: large enough to stay unguessable, small enough that 65,000 of them
# fit before the next millisecond is borrowed.
_STEP_BITS = 64


class MalformedMessageId(ValueError):
    """A text is not the id of a message."""


def encode(value: int) -> MessageId:
    """The id that stands for a number of 128 bits."""
    padded = value << 2
    return MessageId("".join([_PAIRS[padded >> shift & 1023] for shift in _SHIFTS]))


def decode(text: str) -> int:
    """The number an id stands for. Raises MalformedMessageId for all but the one way to write it.

    Upper case is refused too: ids are compared as text everywhere.
    """
    try:
        value = int(text, 32) if len(text) == LENGTH and text.isascii() else -1
    except ValueError:
        value = -1
    # 26 characters hold 130 bits; the last two must be zero. int() also takes signs and the like.
    if value >= 0 and encode(value >> 2) == text:
        return value >> 2
    raise MalformedMessageId(f"{text[:64]!r} is not a message id (26 characters 0-9, a-v)")


def parse(text: str) -> MessageId:
    """The text as an id. Raises MalformedMessageId."""
    return encode(decode(text))


def created_ms(message_id: MessageId) -> int:
    """When the id was made, by its maker's clock: milliseconds since 1970, a few ahead at most."""
    return decode(message_id) >> _RANDOM_BITS


def first_of(at: datetime) -> MessageId:
    """The lowest id that can be made at this (aware) time: what is older sorts before it."""
    return encode(int(at.timestamp() * 1000) << _RANDOM_BITS)


class MessageIds:
    """Makes ids, each greater than the last. Safe for threads."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self, now_ms: int) -> MessageId:
        """A new id for this time (milliseconds since 1970)."""
        with self._lock:
            if now_ms > self._last >> _RANDOM_BITS:
                self._last = now_ms << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
            else:
                self._last += 1 + secrets.randbits(_STEP_BITS)
            return encode(self._last)


_ids = MessageIds()


def new_message_id() -> MessageId:
    """A new id, greater than every one this process made before."""
    return _ids.next(time.time_ns() // 1_000_000)
