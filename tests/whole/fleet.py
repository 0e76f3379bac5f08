"""The state of a simulated fleet: true time, nodes, the controller's tables, and the wires between;
and what receivers saw, which nobody inside knows.

True time is known to nobody inside: nodes and leader have clocks that run at different speeds.
Wires keep their order and may be slow for ever; a session that ended may still have words under way
to the controller.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from controller.leases.observer import Observer, TermOver
from node_agent.agent.lifecycle import FactKind
from tests.whole.bugs import Bug
from tests.whole.node import Node
from tests.whole.tables import Message, Tables, new_tables

NODES, EGRESSES = ("n1", "n2", "n3"), ("e1", "e2")
MESSAGES_TO_AN_EGRESS = 20
DRIFT = 0.15

Steps = list[Callable[[], object]]
"""The steps of a kind that are possible now."""


@dataclass
class Wire:
    """One session's two streams. Words are calls that the other end has not made yet."""

    node: Node
    session: int
    up: deque[Callable[[], object]] = field(default_factory=deque)
    down: deque[Callable[[], object]] = field(default_factory=deque)
    alive: bool = True
    # The node's term when the session ended.
    ended_in: int = 0
    # The suspensions that the node was told last in this session.
    told_stops: frozenset[str] | None = None


class Fleet:
    """Nothing here takes a step by itself; the `steps_…` modules do."""

    def __init__(self, dice: random.Random, bug: Bug) -> None:
        self.bug = bug
        self.now_ms = 1000
        names = NODES[: dice.choice([2, 3])]
        self.egresses = EGRESSES[: dice.choice([1, 2])]
        self.tables: Tables = new_tables(bug, names, self.egresses)
        speeds = [1 - DRIFT, 1.0, 1 + DRIFT]
        self.nodes = {n: Node(n, dice.choice(speeds), list(self.egresses), bug) for n in names}
        self.leader_speed = dice.choice([1 - DRIFT / 4, 1.0, 1 + DRIFT / 4])
        self.observer = Observer()
        self.endings: list[TermOver] = []
        self.wires: list[Wire] = []
        self.sessions = self.seq = 0
        # A node whose processes stand still; its kernel goes on, and so does the clock.
        self.frozen: Node | None = None
        # What receivers took, and what they were asked to take.
        self.delivered: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.turned_down: set[str] = set()
        # What the guard held, which counts as asked: nobody knows.
        self.guarded: set[str] = set()
        # Egresses that let a connection out although their gateway knew they are suspended.
        self.not_stopped: set[str] = set()
        for egress in self.egresses:
            for number in range(MESSAGES_TO_AN_EGRESS):
                token = f"{egress}m{number}".ljust(26, "0")
                self.tables.messages[token] = Message(token, egress)

    # Who can do something.

    def awake(self) -> list[Node]:
        return [node for node in self.nodes.values() if node is not self.frozen]

    def alive(self) -> list[Wire]:
        return [wire for wire in self.wires if wire.alive]

    def heard(self) -> list[Wire]:
        """Wires whose nodes can speak and hear."""
        return [wire for wire in self.alive() if wire.node is not self.frozen]

    def in_delivery(self) -> set[str]:
        """Messages that are being delivered."""
        return {
            node.postfix.token(queue_id)
            for node in self.nodes.values()
            for queue_id in node.postfix.delivering
        }

    # What receivers see.

    def reach(self, node: Node, queue_id: str, *, taken: bool) -> None:
        """A receiver was asked to take a message, and took it or not."""
        token = node.postfix.token(queue_id)
        self.asked[token] += 1
        self.delivered[token] += taken

    def try_delivery(self, node: Node, queue_id: str) -> None:
        """qmgr(8) takes a file up; whether it goes out, the gateway says."""
        stopped = node.postfix.queue[queue_id].egress in node.told_stops
        if node.try_delivery(queue_id, self.now_ms) and stopped:
            self.not_stopped.add(node.postfix.queue[queue_id].egress)

    def cut(self, dice: random.Random) -> None:
        """The gateway (or the kernel, in its place) ends what no lease covers any more: before the
        final dot, or after it, when the receiver has the message and nobody hears."""
        for node in self.nodes.values():
            for queue_id in node.to_cut(self.now_ms):
                taken = dice.random() < 0.5
                self.reach(node, queue_id, taken=taken)
                kind = FactKind.UNCERTAIN if taken else FactKind.DEFERRED
                node.postfix.end_delivery(queue_id, kind)

    def break_session(self, node: Node) -> None:
        """Its words to the controller may still arrive."""
        for wire in self.wires:
            if wire.node is node and wire.alive:
                wire.alive, wire.ended_in = False, self.tables.leases[node.name].epoch
                wire.down.clear()
        node.sent_at_ns.clear()
        node.releasing.clear()
        self.wires = [w for w in self.wires if w.alive or w.up][-20:]
