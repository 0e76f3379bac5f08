"""What placement looks at and what it answers: plain values, sizes in mailboxes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NodeState(StrEnum):
    """What a node may do for placement."""

    # Keeps what it has and may get more.
    ACTIVE = "active"
    # Keeps what it has, gets nothing.
    CORDONED = "cordoned"
    # Gives everything back (drained, decommissioned) or has lost it (dead); gets nothing.
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node; `capacity` in mailboxes."""

    id: str
    capacity: int
    state: NodeState
    failure_domain: str
    region: str | None = None


@dataclass(frozen=True, slots=True)
class EgressView:
    """An egress with so many mailboxes; `node_id`: where it is now; `only_node`: where it must be.

    `priority`: of its client; a higher one is placed first when room is short.
    """

    id: str
    client_id: str
    mailboxes: int
    node_id: str | None
    only_node: str | None = None
    region: str | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The fleet as one transaction saw it. The order of either tuple means nothing."""

    nodes: tuple[NodeView, ...]
    egresses: tuple[EgressView, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be moved for.

    `rebalance` false: only what must move moves (its node leaves, is over capacity, or it has
    none). True: egresses also move to even the load out, as few mailboxes as that takes.
    """

    rebalance: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """Takes an egress from a node (None: from nowhere) to another (None: to nowhere, no room)."""

    egress_id: str
    from_node: str | None
    to_node: str | None
    mailboxes: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An egress that fits nowhere, and what is missing, in words."""

    egress_id: str
    mailboxes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Moves in the order in which they may be made; what is left out, by how much it is short."""

    moves: tuple[Move, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    missing_capacity: int = 0
