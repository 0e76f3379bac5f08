"""The phrases of phrases.toml, read once."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Topic:
    """What a thread may be about: its subjects, and sentences that fit."""

    subjects: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Phrases:
    """`words`: what stands for a name in braces. `asides` fit everywhere, `answers` in replies."""

    greetings: tuple[str, ...]
    closings: tuple[str, ...]
    asides: tuple[str, ...]
    answers: tuple[str, ...]
    words: dict[str, tuple[str, ...]]
    topics: tuple[Topic, ...]


@cache
def phrases() -> Phrases:
    """The shipped ones."""
    data = tomllib.loads(files(__package__).joinpath("phrases.toml").read_text(encoding="utf-8"))
    return Phrases(
        tuple(data["greetings"]),
        tuple(data["closings"]),
        tuple(data["asides"]),
        tuple(data["answers"]),
        {name: tuple(words) for name, words in data["words"].items()},
        tuple(Topic(tuple(each["subjects"]), tuple(each["lines"])) for each in data["topic"]),
    )
