"""Reads rule files: every mistake at once, each with its line and what is allowed."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from controller.shaping.rule import Rule
from controller.shaping.toml_lines import line_of, lines_of
from inventory.errors import Problem, path_text
from inventory.suggest import did_you_mean

SHIPPED = "shipped rules"
_TOP = ("rule", "disable")
_MOST_OCTETS = 1 << 20


class ShapingError(Exception):
    """The rules cannot be used; `problems` has every reason, each with its line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class RuleFile:
    """One layer. `disabled`: names of shipped rules that do not hold here."""

    file: str
    rules: tuple[Rule, ...]
    lines: dict[str, int]
    disabled: tuple[str, ...] = ()


def shipped(providers: Collection[str]) -> RuleFile:
    """The layer that comes with the program."""
    text = files("controller.shaping").joinpath("rules.toml").read_text(encoding="utf-8")
    return parse(text, SHIPPED, providers)


def load(path: Path, providers: Collection[str]) -> RuleFile:
    """A file of an operator's. Raises ShapingError, also where it cannot be read."""
    try:
        octets = path.read_bytes()
        if len(octets) > _MOST_OCTETS:
            raise ShapingError([_of_file(path, f"has more than {_MOST_OCTETS:,} octets")])
        text = octets.decode("utf-8")
    except OSError as error:
        raise ShapingError([_of_file(path, f"cannot read it: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        raise ShapingError([_of_file(path, f"octet {error.start} is not UTF-8")]) from None
    return parse(text, str(path), providers)


def _of_file(path: Path, words: str) -> Problem:
    return Problem(str(path), 0, "", "", words)


def parse(text: str, file: str, providers: Collection[str]) -> RuleFile:
    """Checks a text; `file` only names it. `providers`: names a rule may use."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ShapingError([Problem(file, 0, "", "", f"not TOML: {error}")]) from None
    lines = lines_of(text)
    problems: list[Problem] = []

    def wrong(path: tuple[str | int, ...], value: object, words: str) -> None:
        shown = "" if value is None else repr(value)[:80]
        problems.append(Problem(file, line_of(path, lines), path_text(path), shown, words))

    for key in data.keys() - set(_TOP):
        wrong((key,), None, f"unknown{did_you_mean(key, _TOP) or '; there are rule and disable'}")
    disabled = data.get("disable", [])
    if not isinstance(disabled, list) or not all(isinstance(name, str) for name in disabled):
        wrong(("disable",), disabled, "must be a list of names of shipped rules")
        disabled = []
    entries = data.get("rule", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        wrong(("rule",), None, "write each rule as [[rule]]")
        entries = []
    rules: dict[str, Rule] = {}
    where: dict[str, int] = {}
    for number, entry in enumerate(entries):
        rule = _rule(entry, number, wrong)
        if rule is None:
            continue
        for provider in rule.provider:
            if provider not in providers:
                known = ", ".join(sorted(providers))
                hint = did_you_mean(provider, sorted(providers)) or f"; there are {known}"
                wrong(("rule", number, "provider"), provider, f"no such provider{hint}")
        if rule.name in rules:
            wrong(("rule", number, "name"), rule.name, "stands there twice")
        rules[rule.name] = rule
        where[rule.name] = line_of(("rule", number), lines)
    if problems:
        raise ShapingError(sorted(problems, key=lambda problem: problem.line))
    return RuleFile(file, tuple(rules.values()), where, tuple(disabled))


def _rule(entry: dict[str, Any], number: int, wrong: Any) -> Rule | None:
    try:
        return Rule.model_validate(entry)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            path = ("rule", number, *detail["loc"])
            kind = detail["type"]
            value = None if kind in ("missing", "extra_forbidden") else detail["input"]
            wrong(path, None if isinstance(value, dict) else value, _words(kind, detail))
        return None


def _words(kind: str, detail: Any) -> str:
    field = next((step for step in reversed(detail["loc"]) if isinstance(step, str)), "")
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        names = [info.alias or name for name, info in Rule.model_fields.items()]
        return f"unknown{did_you_mean(field, names) or '; there are ' + ', '.join(names)}"
    if kind == "literal_error":
        choices = get_args(Rule.model_fields[field].annotation)
        return f"must be one of {', '.join(choices)}{did_you_mean(detail['input'], choices)}"
    if kind == "string_pattern_mismatch":
        return _FORMS.get(field, "has characters that do not belong there")
    if kind == "tuple_type":
        return "must be a list"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


_FORMS = {
    "name": "must be 1 to 48 of a-z, 0-9 and -",
    "enhanced": "must be a status code such as 4.7.28 or 4.7.*",
    "for": "must be a number and one of s, min, h, d, such as 30min or 2h",
    "samples": "must be one line of 1 to 1,000 characters",
    "near_misses": "must be one line of 1 to 1,000 characters",
    "source": "must be one line of 1 to 1,000 characters",
    "why": "must be one line of 1 to 1,000 characters",
}
