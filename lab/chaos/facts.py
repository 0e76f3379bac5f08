"""What a scenario leaves to its judges: the fault, ends of connections, charges, and the score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Fault:
    """What took its egresses from a node. `at`: seconds since the epoch; `client`: the node's
    address; `exits`: exit addresses of the egresses that it held; `within_s`: how soon mail must
    come through them from another node."""

    at: float
    client: str
    exits: frozenset[str]
    within_s: float


@dataclass(frozen=True)
class End:
    """The end of a connection to a proxy, or of all of a node's (`client_port` 0), as a witness
    beside the proxies saw it."""

    at: float
    client: str
    client_port: int = 0
    proxy: str = ""


@dataclass(frozen=True)
class Caps:
    """The ledger in PostgreSQL: what was charged to each mailbox and egress on each day, and the
    day that each message was charged to. `most` is the cap by scope (mailbox, egress)."""

    used: Mapping[tuple[str, str, date], int]
    charged: Mapping[str, date]
    most: Mapping[str, int]


@dataclass(frozen=True)
class Score:
    """The outcome of one scenario.

    `resume_s`: from the fault until mail of every egress concerned came from another node, seconds;
    None where nothing moves. `reasons`: one line for each uncertain message. `late`: what took
    longer than it may. `wrong`: everything else that is not as it must be. `impossible`: why this
    machine cannot produce the fault. `played_again`: it was only late, and the next row counts.
    """

    name: str
    accepted: int = 0
    sent: int = 0
    bounced: int = 0
    waiting: int = 0
    uncertain: int = 0
    lost: int = 0
    duplicates: int = 0
    overlap_ms: int = 0
    caps_exceeded: int = 0
    resume_s: float | None = None
    elapsed_s: float = 0.0
    reasons: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    impossible: str = ""
    played_again: bool = False

    @property
    def holds(self) -> bool:
        """Whether it took place and everything was as it must be."""
        return not self.wrong and not self.late and not self.impossible

    @property
    def only_late(self) -> bool:
        """Whether time is all that is wrong with it."""
        return bool(self.late) and not self.wrong and not self.impossible
