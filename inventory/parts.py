"""The parts of an inventory, each with its path, as the rules look at them.

From a valid inventory these are all its parts. From one with errors they are the parts that are
valid by themselves, so that one wrong field does not hide what else is wrong; the ids of the
broken parts stay known, so that nobody is told that a reference to them is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from inventory.errors import Path
from inventory.fields import Strict
from inventory.schema import Client, Domain, Egress, Fleet, Inventory, Mailbox, Node

Model = TypeVar("Model", bound=Strict)


@dataclass(frozen=True)
class Part(Generic[Model]):
    """One item of a list and where it stands."""

    path: Path
    item: Model


@dataclass
class Parts:
    """What of an inventory can be looked at. Mailboxes come in the order of the file."""

    fleet: Fleet | None = None
    clients: list[Part[Client]] = field(default_factory=list)
    # Without their mailboxes where something of the domain is broken; use `mailboxes`.
    domains: list[Part[Domain]] = field(default_factory=list)
    mailboxes: list[tuple[Part[Mailbox], Domain]] = field(default_factory=list)
    egresses: list[Part[Egress]] = field(default_factory=list)
    nodes: list[Part[Node]] = field(default_factory=list)
    # Ids of all clients, egresses and nodes, also of broken ones. A kind is missing where its list
    # cannot be read, and then nothing can be said about references to it.
    ids: dict[str, set[str]] = field(default_factory=dict)


def whole(inventory: Inventory) -> Parts:
    """All parts of a valid inventory."""
    parts = Parts(
        inventory.fleet,
        [Part(("clients", n), client) for n, client in enumerate(inventory.clients)],
        [Part(("domains", n), domain) for n, domain in enumerate(inventory.domains)],
        [
            (Part(("domains", n, "mailboxes", m), mailbox), domain)
            for n, domain in enumerate(inventory.domains)
            for m, mailbox in enumerate(domain.mailboxes)
        ],
        [Part(("egresses", n), egress) for n, egress in enumerate(inventory.egresses)],
        [Part(("nodes", n), node) for n, node in enumerate(inventory.nodes)],
    )
    parts.ids = {
        "clients": {part.item.id for part in parts.clients},
        "egresses": {part.item.id for part in parts.egresses},
        "nodes": {part.item.id for part in parts.nodes},
    }
    return parts


def salvaged(data: dict[str, Any]) -> Parts:
    """The parts of `data` that are valid by themselves."""
    parts = Parts(_valid(Fleet, data.get("fleet")))
    parts.clients = list(_valid_items(Client, data, "clients"))
    parts.egresses = list(_valid_items(Egress, data, "egresses"))
    parts.nodes = list(_valid_items(Node, data, "nodes"))
    for path, raw in _items(data, "domains", ()):
        bare = {**raw, "mailboxes": []} if isinstance(raw, dict) else None
        domain = _valid(Domain, bare)
        if domain is None:
            continue
        parts.domains.append(Part(path, domain))
        for part in _valid_items(Mailbox, raw, "mailboxes", path):
            parts.mailboxes.append((part, domain))
    for kind in ("clients", "egresses", "nodes"):
        if isinstance(data.get(kind), list):
            parts.ids[kind] = {
                raw["id"]
                for raw in data[kind]
                if isinstance(raw, dict) and isinstance(raw.get("id"), str)
            }
    return parts


def _items(data: dict[str, Any], key: str, above: Path) -> Iterator[tuple[Path, Any]]:
    value = data.get(key)
    if isinstance(value, list):
        for number, raw in enumerate(value):
            yield (*above, key, number), raw


def _valid_items(
    model: type[Model], data: dict[str, Any], key: str, above: Path = ()
) -> Iterator[Part[Model]]:
    for path, raw in _items(data, key, above):
        item = _valid(model, raw)
        if item is not None:
            yield Part(path, item)


def _valid(model: type[Model], raw: object) -> Model | None:
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None
