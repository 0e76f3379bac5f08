"""Writes docs/reference/inventory.md from the schema: `python -m inventory.reference_docs`.

A test compares the committed page with what this writes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from inventory.schema import Inventory
from inventory.shape import describe, models_in

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "inventory.md"
_HEAD = """\
# The inventory

Written by `python -m inventory.reference_docs` from the schema; do not edit.

One YAML file describes the whole fleet. `postfleet fleet plan FILE` says what it would change and
`postfleet fleet apply FILE` does it. `inventory/reference.yaml` is a complete example, and
`python -m inventory.reference --nodes 3 --mailboxes 24` prints one of any size.

Unknown fields are errors, and so is a key that stands twice. Values are not guessed: numbers are
written without quotes, text that looks like a number with quotes; `yes` and `no` are text. Secrets
never stand in the file: `env:NAME` takes them from the environment, `file:PATH` from a file
(relative to the inventory's folder, or to `--secrets-dir`).
"""
_RULES = """\
## Rules over the whole

- Ids, domains, mailbox addresses, public IPs, EHLO names, hostnames and ssh addresses of nodes
  exist once.
- What is referred to exists: clients, egresses, nodes.
- A mailbox's domain and its egress belong to the same client.
- An egress has at most `fleet.limits.mailboxes_per_egress` mailboxes, a domain at most
  `fleet.limits.mailboxes_per_domain`.
- A public IP is a unicast address outside 198.18.0.0/15, which nodes use to tell egresses apart.
- One account (user name) at one proxy is one egress.
- A warm-up curve begins with day 1, names days in order, and never falls.
- A window closes after it opens, on the same day; a night is two windows.
- `lease.heartbeat_s` is below `ttl_s - margin_s`; `mail.minimal_backoff_s` is not above
  `maximal_backoff_s`.

Warnings stop nobody: less capacity than mailboxes, a fleet that does not survive the loss of its
largest node whole, all nodes in one failure domain.
"""


def models(root: type[BaseModel] = Inventory) -> Iterator[tuple[str, type[BaseModel]]]:
    """(path in the file, model) of every part, from the top down."""
    seen: set[type[BaseModel]] = set()

    def below(path: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
        if model in seen:
            return
        seen.add(model)
        yield path, model
        for name, field in model.model_fields.items():
            inner = f"{path}.{name}" if path else name
            inner += "[]" if _is_list(field) else ""
            for each in models_in(field.annotation):
                yield from below(inner, each)

    yield from below("", root)


def page() -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *sections(Inventory), _RULES])


def sections(root: type[BaseModel]) -> Iterator[str]:
    """Lines of Markdown: a heading and a table of its fields for each part of a file."""
    for path, model in models(root):
        yield from ((f"## `{path}`" if path else "## The file") + _kind(model), "")
        yield from (_about(model), "")
        yield from ("| field | what it takes | default | meaning |", "|---|---|---|---|")
        yield from (_row(name, field) for name, field in model.model_fields.items())
        yield ""


def _kind(model: type[BaseModel]) -> str:
    field = model.model_fields.get("kind")
    return f" with `kind: {get_args(field.annotation)[0]}`" if field else ""


def _about(model: type[BaseModel]) -> str:
    return " ".join((inspect.getdoc(model) or "").split())


def _row(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else _default(name, field.get_default())
    meaning = " ".join((field.description or "").split())
    cells = (f"`{name}`", _takes(field), default, meaning)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _takes(field: FieldInfo) -> str:
    if list(models_in(field.annotation)):
        return "a list, see below" if _is_list(field) else "see below"
    words = describe(field)
    return f"a list of: {words}" if _is_list(field) else words


def _default(name: str, value: Any) -> str:
    if value == "" and name == "warming":
        return "`false`"
    if value in (None, (), ""):
        return "none"
    if isinstance(value, BaseModel):
        return "as below"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def main() -> None:
    """Writes the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
