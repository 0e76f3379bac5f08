"""What placement looks at and what it answers: plain values, sizes in mailboxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """A node; `capacity` in mailboxes, at least 1."""

    id: str
    capacity: int
    state: NodeState
    failure_domain: str
    region: str | None = None


@dataclass(frozen=True, slots=True)
class EgressView:
    """An egress with so many mailboxes; `node_id`: where it is now; `only_node`: where it must be.

    `priority`: of its client; a higher one is placed first when room is short. `unreachable_from`:
    nodes whose network does not lead to its proxy; it never goes to one, and leaves one if any
    other takes it.
    """

    id: str
    client_id: str
    mailboxes: int
    node_id: str | None
    only_node: str | None = None
    region: str | None = None
    priority: int = 0
    unreachable_from: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The fleet as one transaction saw it. The order of either tuple means nothing."""

    nodes: tuple[NodeView, ...]
    egresses: tuple[EgressView, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be moved for.

    `rebalance` false: only what must move moves (its node leaves or is over capacity, or it has
    none). True: egresses also move to even the load out, as few mailboxes as that takes; a node
    counts as even within `tolerance` mailboxes of its share (None: the largest egress).
    """

    rebalance: bool = False
    tolerance: int | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Takes an egress from a node (None: from nowhere) to another (None: to nowhere, no room)."""

    egress_id: str
    from_node: str | None
    to_node: str | None
    mailboxes: int
    # Why: no-node, leaving, unreachable, over-capacity, bound, make-room, rebalance, no-room.
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An egress that has no place where it can send, and what is missing, in words.

    `stays_on`: the node that cannot reach it and holds on to it, since no other takes it and nobody
    needs the room; None: it is nowhere.
    """

    egress_id: str
    mailboxes: int
    reason: str
    stays_on: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Moves in the order in which they may be made, what is left out, and by how much it is short.

    `missing_capacity`: at least so many mailboxes; 0 where what is left out lacks no room.
    `lower_bound`: mailboxes that have to move whatever the plan (0 where not everything fits).
    """

    moves: tuple[Move, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    missing_capacity: int = 0
    lower_bound: int = 0
    load_before: Mapping[str, int] = field(default_factory=dict)
    load_after: Mapping[str, int] = field(default_factory=dict)

    @property
    def moved(self) -> int:
        """Mailboxes of all moves."""
        return sum(move.mailboxes for move in self.moves)
