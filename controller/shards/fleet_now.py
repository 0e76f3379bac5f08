"""The fleet as one transaction read it, for everything that decides about shards: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property


@dataclass(frozen=True, slots=True)
class NodeNow:
    """A node; `capacity` in mailboxes.

    `held`: it is in a term. `is_new`: it never was in one; `age_s`: how long the inventory has it.
    """

    id: str
    capacity: int
    failure_domain: str
    region: str | None
    cordoned: bool
    draining: bool
    decommissioned: bool
    fenced: bool
    held: bool
    is_new: bool
    age_s: float

    @property
    def is_closed(self) -> bool:
        """Whether it gets nothing, whatever it has."""
        return self.cordoned or self.draining or self.decommissioned or self.fenced


@dataclass(frozen=True, slots=True)
class MoveNow:
    """A planned move under way. `to_node` None: to nowhere. `runs`: the target sends for it."""

    from_node: str
    to_node: str | None
    reason: str
    runs: bool


@dataclass(frozen=True, slots=True)
class EgressNow:
    """An egress with so many mailboxes, and where it is.

    `in_term`: its node was granted it and the term is not over, so it must be asked back.
    """

    id: str
    client_id: str
    mailboxes: int
    priority: int
    only_node: str | None
    region: str | None
    node_id: str | None
    in_term: bool
    releasing: bool
    move: MoveNow | None = None


@dataclass(frozen=True, slots=True)
class MarkNow:
    """A node's network does not lead to an egress's proxy; holds `left_s` seconds from now."""

    egress_id: str
    node_id: str
    detail: str
    since: datetime
    left_s: float


@dataclass(frozen=True)
class Order:
    """The order to rebalance; `max_in_flight` None: the inventory's limit."""

    actor: str
    reason: str
    max_in_flight: int | None


@dataclass(frozen=True)
class FleetNow:
    """All nodes, all egresses of the inventory, what is ordered, and the inventory's limit; which
    node cannot reach which egress."""

    nodes: tuple[NodeNow, ...]
    egresses: tuple[EgressNow, ...]
    order: Order | None
    moves_in_flight: int
    marks: tuple[MarkNow, ...] = ()

    @property
    def limit(self) -> int:
        """How many planned moves may be under way at a time."""
        asked = self.order.max_in_flight if self.order else None
        return asked or self.moves_in_flight

    @cached_property
    def node(self) -> Mapping[str, NodeNow]:
        """Nodes by id."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def egress(self) -> Mapping[str, EgressNow]:
        """Egresses by id."""
        return {egress.id: egress for egress in self.egresses}
