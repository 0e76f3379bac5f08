"""How much one template may do for one message. Pure.

A template ends, whatever stands in it: every turn of a loop and every call is a step, and no text,
list or number grows beyond its bound, neither in the message nor on the way to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from jinja2.runtime import markup_join

MOST_STEPS = 10_000
MOST_CHARACTERS = 256 * 1024
_MOST_RANGE = 1000
_MOST_BITS = 256


class TooMuch(Exception):
    """A template does more than it may; the message says what, and how much is allowed."""


class Budget:
    """What is left for the message at hand; `begin` gives all of it back."""

    def __init__(self) -> None:
        self._steps = 0

    def begin(self) -> None:
        self._steps = 0

    def step(self, count: int = 1) -> None:
        """Raises TooMuch."""
        self._steps += count
        if self._steps > MOST_STEPS:
            raise TooMuch(
                f"it takes more than {MOST_STEPS:,} turns of loops and calls for one message; "
                "does it loop without end?"
            )

    def turns(self, items: Iterable[Any]) -> Iterator[Any]:
        """The same items, each a step."""
        for item in items:
            self.step()
            yield item

    def join(self, parts: Iterable[str]) -> str:
        """As ''.join, within bounds."""
        kept, length = [], 0
        for part in parts:
            length += len(part)
            if length > MOST_CHARACTERS:
                raise TooMuch(f"it makes a text of more than {MOST_CHARACTERS:,} characters")
            kept.append(part)
        return "".join(kept)

    def concatenated(self, *values: Any) -> str:
        """What `~` gives."""
        joined: str = small(markup_join(values))
        return joined

    def range(self, *arguments: int) -> range:
        """The built-in one, of at most a thousand numbers."""
        made = range(*arguments)
        # len() of a huge one overflows.
        if made and abs(made[-1] - made[0]) // abs(made.step) >= _MOST_RANGE:
            raise TooMuch(f"range() gives at most {_MOST_RANGE:,} numbers")
        self.step()
        return made


def small(value: Any) -> Any:
    """The value itself, where it is within bounds."""
    if isinstance(value, str | list | tuple) and len(value) > MOST_CHARACTERS:
        raise TooMuch(f"it makes a value of more than {MOST_CHARACTERS:,} characters or items")
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise TooMuch(f"it makes a number of more than {_MOST_BITS} bits")
    return value


def checked_operands(operator: str, left: Any, right: Any) -> None:
    """Before an operation that could make something large of small things. Raises TooMuch."""
    if operator == "*":
        for one, other in ((left, right), (right, left)):
            repeats = isinstance(one, str | list | tuple) and isinstance(other, int)
            if repeats and len(one) * other > MOST_CHARACTERS:
                raise TooMuch(f"it repeats a value beyond {MOST_CHARACTERS:,} characters")
    if operator == "**" and not (abs(right) <= 64 and _bits(left) <= 64):
        raise TooMuch("a power of more than 64 bits to the 64th")
    if operator == "%" and isinstance(left, str):
        raise TooMuch("% does not format text here; write {{ … }} or ~")


def replaced(text: Any, old: str, new: str) -> Any:
    """The filter `replace`, never longer than it may be."""
    value = text if isinstance(text, str) else str(text)
    if len(value) + value.count(old) * len(new) > MOST_CHARACTERS:
        raise TooMuch(f"replace makes a text of more than {MOST_CHARACTERS:,} characters")
    return value.replace(old, new)


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 0
