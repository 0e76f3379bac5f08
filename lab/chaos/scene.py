"""What a scenario has in its hands while it is played: the ground, a victim, steps with deadlines.

Everything that takes egresses from a node is noted as a fault, so that the judges know from when on
mail must come from elsewhere, and how soon.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.chaos.errors import StepLate
from lab.chaos.facts import Fault
from lab.chaos.ground import MARGIN_S, TTL_S, Ground, wait_until
from lab.demo.errors import DemoError
from lab.node import Node

# Without an operator: the lease must run out, and then there is so much time.
UNPLANNED_S = TTL_S + MARGIN_S + 5
FENCED_S = 5.0
DRAINED_S = 10.0


@dataclass
class Scene:
    """One scenario being played. `rounds`: random points in scenarios that kill.

    `may_wait_on` gets the nodes that stay off: their mail may wait for them.
    """

    ground: Ground
    rounds: int
    say: Callable[[str], None] = lambda _: None
    faults: list[Fault] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    may_wait_on: set[str] = field(default_factory=set)
    # Seeds nothing else: the points in time are meant to differ from run to run.
    chance: random.Random = field(default_factory=random.Random)

    def victim(self, but: Node | None = None) -> Node:
        """The node that holds the most egresses."""
        held = {
            n.id: n.egresses for n in self.ground.fleet.nodes() if but is None or n.id != but.id
        }
        return self.ground.lab.nodes[max(held, key=lambda id: (held[id], id))]

    def exits(self, node: Node) -> frozenset[str]:
        """Exit addresses of the egresses that the node holds."""
        rows = self.ground.fleet.egresses()
        return frozenset(row.public_ip for row in rows if row.node_id == node.id)

    def fault(self, node: Node, within_s: float = UNPLANNED_S) -> None:
        """Call right before what takes the node's egresses from it."""
        exits = self.exits(node)  # asked first: the time counts from the fault on
        self.faults.append(Fault(time.time(), str(node.address), exits, within_s))

    def pause(self, seconds: float) -> None:
        """Let mail flow."""
        self.say(f"{seconds:.0f} s go by")
        time.sleep(seconds)

    def moment(self, least_s: float = 0.2, most_s: float = 2.0) -> None:
        """A random while."""
        time.sleep(self.chance.uniform(least_s, most_s))

    def until(self, what: str, true: Callable[[], bool], within_s: float) -> None:
        """A step: returns when it is true. Not in time: that is noted, and the scenario goes on."""
        self.say(what)

        def answered() -> bool:
            try:
                return true()
            except DemoError:  # the controller may be what is broken
                return False

        try:
            wait_until(what, answered, within_s)
        except StepLate as error:
            self.late.append(f"late: {error}")

    def until_moved(self, node: Node, within_s: float) -> None:
        """Every egress is on another node, which runs its spec."""

        def moved() -> bool:
            nodes = self.ground.fleet.nodes()
            others = [n for n in nodes if n.id != node.id]
            return sum(n.mailboxes for n in others) == self.ground.mailboxes and all(
                n.running_generation == n.wanted_generation for n in others if n.lease_valid
            )

        # How soon mail flows is judged by the receivers' records; here it is only waited for.
        self.until(f"what {node.id} held is on other nodes", moved, 2 * within_s + 10)

    def has_lease(self, node: Node) -> bool:
        """Whether the controller judges so."""
        return any(n.lease_valid for n in self.ground.fleet.nodes() if n.id == node.id)

    def all_have_leases(self) -> bool:
        """Whether every node has its lease."""
        return all(n.lease_valid for n in self.ground.fleet.nodes())

    def until_whole(self, within_s: float) -> None:
        """Every node has its lease and runs its spec, every mailbox may send."""
        self.until("the fleet is whole", lambda: not self.ground.not_whole(), within_s)
