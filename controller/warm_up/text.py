"""What the n-th message of a thread says. Pure: the thread's name determines it.

Sizes are as people's: a few lines mostly, a page now and then, replies shorter, some with what they
answer quoted below. Lines are as long as their paragraph; `letter` breaks them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from controller.warm_up.draw import Draw
from controller.warm_up.phrases import Topic, phrases

_SLOT = re.compile(r"\{([a-z]+)\}")
_QUOTES = 0.55
# Some people sign with their whole name, some with the first one, some not at all; always alike.
_SIGNATURES = ("whole", "first", "first", "none")


def subject(thread: str) -> str:
    """Of the whole thread, without `Re:`."""
    draw = Draw(f"subject/{thread}")
    return _filled(draw, draw.pick(_topic(thread).subjects), "")


def own_words(thread: str, position: int, writer: str, recipient: str) -> str:
    """What the message at this position (from 0) adds to the thread; paragraphs with empty lines
    between. `writer`, `recipient`: display names."""
    draw = Draw(f"text/{thread}/{position}")
    opening = _filled(draw, draw.pick(phrases().greetings), _first(recipient))
    said = [_filled(draw, each, _first(recipient)) for each in _sentences(draw, thread, position)]
    parts = [opening, *_paragraphs(draw, said), _ending(draw, writer)]
    return "\n\n".join(part for part in parts if part)


def quotes(thread: str, position: int) -> bool:
    """Whether the message at this position shows below what it answers."""
    return position > 0 and Draw(f"quote/{thread}/{position}").chance(_QUOTES)


def _sentences(draw: Draw, thread: str, position: int) -> list[str]:
    """No sentence of the topic stands twice in a thread."""
    topic = Draw(f"order/{thread}").several(_topic(thread).lines, len(_topic(thread).lines))
    if position == 0:
        # Few write little, few write much.
        count = 2 + int(12 * draw.fraction() * draw.fraction())
        chosen = topic[: max(2, count - 3)][:6]
        return chosen + draw.several(phrases().asides, max(1, count - len(chosen)))
    chosen = draw.several(phrases().answers, 1 + draw.below(2))
    if draw.chance(0.6):
        chosen += topic[5 + position : 6 + position]
    return chosen + draw.several(phrases().asides, draw.below(3))


def _paragraphs(draw: Draw, sentences: Sequence[str]) -> list[str]:
    paragraphs, rest = [], list(sentences)
    while rest:
        count = 1 + draw.below(4)
        paragraphs.append(" ".join(rest[:count]))
        rest = rest[count:]
    return paragraphs


def _ending(draw: Draw, writer: str) -> str:
    habit = Draw(f"signature/{writer}").pick(_SIGNATURES)
    name = {"whole": writer, "first": _first(writer), "none": ""}[habit]
    return "\n".join(part for part in (draw.pick(phrases().closings), name) if part)


def _first(name: str) -> str:
    words = name.split()
    return words[0] if words else ""


@lru_cache(maxsize=1024)
def _topic(thread: str) -> Topic:
    return Draw(f"topic/{thread}").pick(phrases().topics)


def _filled(draw: Draw, phrase: str, name: str) -> str:
    """With something drawn for each slot; a greeting to nobody is left without the name."""

    def word(match: re.Match[str]) -> str:
        return name if match[1] == "name" else draw.pick(phrases().words[match[1]])

    text = _SLOT.sub(word, phrase)
    text = text.replace(" ,", ",").removeprefix(",").strip()
    return text[:1].upper() + text[1:]
