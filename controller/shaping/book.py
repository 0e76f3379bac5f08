"""All layers of rules together: the first rule that fires speaks. Pure.

The operator's rules are asked first, then the shipped ones. An operator's rule with the name of a
shipped one stands in its place, also in the order; `disable` takes shipped ones away.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from controller.replies import Reply
from controller.shaping.read import RuleFile, ShapingError, load, shipped
from controller.shaping.rule import Rule
from inventory.errors import Problem


@dataclass(frozen=True)
class Placed:
    """A rule and where it stands."""

    rule: Rule
    file: str
    line: int


@dataclass(frozen=True)
class RuleBook:
    """The rules in the order in which they are asked."""

    rules: tuple[Placed, ...]

    def first(self, reply: Reply, provider: str) -> Rule | None:
        """The rule for a reply of this provider; None: none fires."""
        return next((p.rule for p in self.rules if p.rule.fires(reply, provider)), None)


def layered(base: RuleFile, own: RuleFile | None) -> RuleBook:
    """The book of both layers. Raises ShapingError where `disable` names what is not there."""
    if own is None:
        return RuleBook(_placed(base))
    names = {rule.name for rule in base.rules}
    unknown = [name for name in own.disabled if name not in names]
    if unknown:
        words = "disable: there is no shipped rule of this name"
        raise ShapingError([Problem(own.file, 0, "", name, words) for name in unknown])
    mine = {each.rule.name: each for each in _placed(own)}
    first = tuple(each for name, each in mine.items() if name not in names)
    shipped_order = tuple(
        mine.get(each.rule.name, each)
        for each in _placed(base)
        if each.rule.name in mine or each.rule.name not in own.disabled
    )
    return RuleBook(first + shipped_order)


def _placed(layer: RuleFile) -> tuple[Placed, ...]:
    return tuple(Placed(rule, layer.file, layer.lines[rule.name]) for rule in layer.rules)


def open_book(own: Path | None, providers: Collection[str]) -> RuleBook:
    """The shipped rules with those of a file over them. Raises ShapingError."""
    base = shipped(providers)
    return layered(base, load(own, providers) if own else None)
