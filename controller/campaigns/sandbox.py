"""Jinja2 for text that others wrote: sandboxed, strict about names, and within bounds.

What Jinja2's own sandbox lets pass is closed here: loops are counted (each `for` in a template is
rewritten to take its items from the budget), `~`, `+`, `*`, `**` and joined blocks are measured,
filters and methods are those of a list. There is no loader, so nothing is included or inherited.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from jinja2 import StrictUndefined, nodes
from jinja2.filters import FILTERS
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment

from controller.campaigns.bounds import Budget, checked_operands, replaced, small

_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float",
    "int", "items", "join", "last", "length", "list", "lower", "map", "max", "min", "reject",
    "replace", "reverse", "round", "safe", "select", "sort", "string", "striptags", "title",
    "trim", "truncate", "unique", "upper", "urlencode", "wordcount",
)  # fmt: skip
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset({"capitalize", "endswith", "lower", "lstrip", "rstrip", "split", "startswith",
                    "strip", "title", "upper"}),
    dict: frozenset({"get", "items", "keys", "values"}),
}  # fmt: skip


class Sandbox(SandboxedEnvironment):
    """One for all templates of a kind. `html`: what is put in is escaped."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, html: bool) -> None:
        super().__init__(autoescape=html, undefined=StrictUndefined, keep_trailing_newline=True)
        self.budget = Budget()
        self.concat = self.budget.join  # type: ignore[method-assign]
        self.globals = {"range": self.budget.range}
        named: dict[str, Callable[..., Any]] = {**FILTERS, "replace": replaced}
        self.filters = {name: _bounded(named[name]) for name in _FILTERS}
        self.filters["join"] = self._joined

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = _call("turns", [cast("nodes.Expr", loop.iter)])
        for joined in list(tree.find_all(nodes.Concat)):
            joined.nodes = [_call("concatenated", joined.nodes)]
        return tree

    def turns(self, items: Any) -> Any:
        """What a `for` takes its items from."""
        return self.budget.turns(items)

    def concatenated(self, *values: Any) -> str:
        """What `~` gives."""
        return self.budget.concatenated(*values)

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Every call in a template; one step."""
        self.budget.step()
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Every operation that may make something large."""
        checked_operands(operator, left, right)
        return small(super().call_binop(context, operator, left, right))

    def wrap_str_format(self, value: Any) -> None:  # noqa: ARG002
        """No str.format: what it pads has no bound."""
        return

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Methods of values are those of the list; what is no method is Jinja2's to judge."""
        if callable(value) and not isinstance(obj, LoopContext):
            kinds = [kind for kind in _METHODS if isinstance(obj, kind)]
            if not any(attr in _METHODS[kind] for kind in kinds):
                return False
        return bool(super().is_safe_attribute(obj, attr, value))

    def _joined(self, values: Any, separator: str = "", attribute: Any = None) -> str:
        if attribute is not None:
            values = (self.getitem(value, attribute) for value in values)
        parts: list[str] = []
        for number, value in enumerate(self.budget.turns(values)):
            if number and separator:
                parts.append(str(separator))
            parts.append(str(value))
        return self.budget.join(parts)


def _call(method: str, arguments: list[nodes.Expr]) -> nodes.Call:
    line = arguments[0].lineno
    function = nodes.EnvironmentAttribute(method, lineno=line)
    return nodes.Call(function, arguments, [], None, None, lineno=line)


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        return small(function(*args, **kwargs))

    return bounded
