"""Controllers, nodes and a network that delays and loses, with clocks that run at different speeds.

True time is an integer of milliseconds and known to nobody inside. The controllers' decisions are
the real ones (`Observer`); the two tables stand in for PostgreSQL, each method being one of its
transactions. `Bug` plants faults that the invariant must find.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from controller.leases.observer import LeaseRow, Observer

TTL_MS, MARGIN_MS, HEARTBEAT_MS = 6000, 600, 1000
DRIFT = 0.05


class Bug(Enum):
    NONE = auto()
    # The controller ends terms by ttl alone, and the node's clock is slower than its own.
    MARGIN_REMOVED = auto()
    # A release of an earlier term frees the egress of the present one.
    EPOCH_UNCHECKED = auto()
    # A term ends without looking whether it was renewed meanwhile.
    RENEWALS_UNCHECKED = auto()
    # The node trusts from the arrival of the grant, not from the sending of the heartbeat.
    TRUST_FROM_ARRIVAL = auto()


@dataclass
class Lease:
    epoch: int = 1
    renewals: int = 0
    held: bool = False


@dataclass
class Tables:
    """lease and assignment; each method is a transaction."""

    bug: Bug
    leases: dict[str, Lease]
    holder: dict[str, str] = field(default_factory=dict)
    granted_in: dict[str, int] = field(default_factory=dict)
    releasing: set[str] = field(default_factory=set)
    given_back: dict[tuple[str, str], int] = field(default_factory=dict)

    def renew(self, node: str) -> tuple[int, frozenset[str]]:
        lease = self.leases[node]
        lease.renewals += 1
        lease.held = True
        mine = frozenset(e for e, n in self.holder.items() if n == node)
        for egress in mine:
            self.granted_in[egress] = lease.epoch
        return lease.epoch, mine

    def end_term(self, node: str, epoch: int, renewals: int) -> None:
        lease = self.leases[node]
        same = (lease.epoch, lease.renewals) == (epoch, renewals)
        if lease.held and (same or self.bug is Bug.RENEWALS_UNCHECKED):
            lease.epoch += 1
            lease.held = False
            for egress in [e for e, n in self.holder.items() if n == node]:
                self._free(egress)

    def release(self, node: str, egress: str, epoch: int) -> None:
        if self.holder.get(egress) != node:
            return
        if self.bug is Bug.EPOCH_UNCHECKED or (
            egress in self.releasing and self.granted_in.get(egress) == epoch
        ):
            self._free(egress)
            self.given_back[node, egress] = epoch

    def assign(self, egress: str, node: str) -> None:
        lease = self.leases[node]
        self.holder[egress] = node
        if self.given_back.get((node, egress)) == lease.epoch:
            lease.epoch += 1

    def _free(self, egress: str) -> None:
        self.holder.pop(egress, None)
        self.granted_in.pop(egress, None)
        self.releasing.discard(egress)


@dataclass
class Node:
    """The node's half: a gateway that opens until `trusted_until`, cuts by `expires`."""

    name: str
    speed: float
    epoch: int = 0
    egresses: frozenset[str] = frozenset()
    closed: dict[str, int] = field(default_factory=dict)
    sent_at: dict[int, float] = field(default_factory=dict)
    expires_s: float = 0.0
    session: int = 0
    seq: int = 0
    frozen_until: int = 0

    def clock_s(self, now_ms: int) -> float:
        return now_ms * self.speed / 1000

    def may_have_open(self, egress: str, now_ms: int) -> bool:
        """Whether a connection may be open: up to the cut at expiry, not only while trusted."""
        return (
            egress in self.egresses
            and self.closed.get(egress, 0) < self.epoch
            and self.clock_s(now_ms) < self.expires_s
        )


class Simulation:
    """One run. `run` steps through events and gives the first violation in words, or ''."""

    def __init__(self, seed: int, bug: Bug = Bug.NONE, nodes: int = 3, egresses: int = 3) -> None:
        self.dice = random.Random(seed)
        self.bug = bug
        names = [f"n{i}" for i in range(nodes)]
        self.tables = Tables(bug, {name: Lease() for name in names})
        self.nodes = {n: Node(n, 1 + self.dice.uniform(-DRIFT, DRIFT)) for n in names}
        self.egresses = [f"e{i}" for i in range(egresses)]
        self.now_ms = 0
        self.leader_speed = 1 + self.dice.uniform(-DRIFT, DRIFT) / 4
        self.observer = Observer()
        # The weather of this run.
        self.request_stalls = self.dice.choice([0, 0, 0.02, 0.1])
        self.answer_stalls = self.dice.choice([0, 0.02, 0.1, 0.4])
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.steps = 0

    def later(self, in_ms: float, act: Callable[[], None]) -> None:
        at = self.now_ms + max(1, int(in_ms))
        heapq.heappush(self._events, (at, next(self._order), act))

    def run(self, steps: int) -> str:
        for node in self.nodes.values():
            self.later(self.dice.uniform(0, 1000), lambda n=node: self._heartbeat(n))
        self.later(100, self._leader_looks)
        self.later(500, self._place)
        self.later(3000, self._trouble)
        while self.steps < steps:
            self.now_ms, _, act = heapq.heappop(self._events)
            act()
            self.steps += 1
            for egress in self.egresses:
                open_at = [
                    n.name for n in self.nodes.values() if n.may_have_open(egress, self.now_ms)
                ]
                if len(open_at) > 1:
                    return f"{egress} is open at {' and '.join(open_at)} at {self.now_ms} ms"
        return ""

    # The node.

    def _delay(self, stalls: float) -> float:
        """Mostly quick; with probability `stalls` for longer than a lease may take."""
        if self.dice.random() < stalls:
            return self.dice.choice([2000, 7000, 9000, 20_000])
        return self.dice.choice([5, 20, 80, 300])

    def _heartbeat(self, node: Node) -> None:
        self.later(HEARTBEAT_MS / node.speed, lambda: self._heartbeat(node))
        if self.now_ms < node.frozen_until:
            return
        node.seq += 1
        node.sent_at[node.seq] = node.clock_s(self.now_ms)
        seq, session = node.seq, node.session
        if self.dice.random() < 0.9:
            self.later(self._delay(self.request_stalls), lambda: self._renewed(node, seq, session))

    def _renewed(self, node: Node, seq: int, session: int) -> None:
        epoch, egresses = self.tables.renew(node.name)
        if self.dice.random() < 0.9:
            self.later(
                self._delay(self.answer_stalls),
                lambda: self._granted(node, seq, session, epoch, egresses),
            )

    def _granted(
        self, node: Node, seq: int, session: int, epoch: int, egresses: frozenset[str]
    ) -> None:
        if session != node.session or epoch < node.epoch:
            return
        sent_s = node.sent_at.get(seq)
        if sent_s is None:
            return
        begin_s = sent_s
        if self.bug is Bug.TRUST_FROM_ARRIVAL:
            begin_s = node.clock_s(self.now_ms)
        expires_s = begin_s + TTL_MS / 1000
        if epoch == node.epoch and expires_s < node.expires_s:
            return
        node.epoch, node.egresses, node.expires_s = epoch, egresses, expires_s
        node.sent_at = {s: t for s, t in node.sent_at.items() if s >= seq}

    def _asked_back(self, node: Node, egress: str, epoch: int) -> None:
        if epoch < node.epoch:
            return
        node.closed[egress] = max(epoch, node.closed.get(egress, 0))
        self.later(self._delay(0.5), lambda: self.tables.release(node.name, egress, epoch))

    # The controllers.

    def _leader_looks(self) -> None:
        self.later(self.dice.uniform(50, 400), self._leader_looks)
        rows = [
            LeaseRow(
                name,
                lease.epoch,
                lease.renewals,
                lease.held,
                TTL_MS,
                -MARGIN_MS if self.bug is Bug.MARGIN_REMOVED else MARGIN_MS,
            )
            for name, lease in self.tables.leases.items()
        ]
        clock_s = self.now_ms * self.leader_speed / 1000
        for over in self.observer.look(rows, read_from_s=clock_s, read_until_s=clock_s):
            # The transaction runs a while after the look.
            self.later(
                self.dice.choice([1, 50, 1500]),
                lambda o=over: self.tables.end_term(o.node_id, o.epoch, o.renewals),
            )

    def _place(self) -> None:
        self.later(self.dice.uniform(20, 300), self._place)
        for egress in self.egresses:
            if egress not in self.tables.holder:
                self.tables.assign(egress, self.dice.choice(list(self.nodes)))
            elif self.dice.random() < 0.01 and egress in self.tables.granted_in:
                self.tables.releasing.add(egress)
                node = self.nodes[self.tables.holder[egress]]
                epoch = self.tables.granted_in[egress]
                self.later(
                    self._delay(self.answer_stalls),
                    lambda n=node, e=egress, p=epoch: self._asked_back(n, e, p),
                )

    def _trouble(self) -> None:
        self.later(self.dice.uniform(500, 4000), self._trouble)
        node = self.dice.choice(list(self.nodes.values()))
        kind = self.dice.randrange(4)
        if kind == 0:
            node.session += 1
            node.sent_at.clear()
        elif kind == 1:
            node.frozen_until = self.now_ms + self.dice.choice(
                [1000, 6500, 7000, 7500, 9000, 15_000]
            )
        elif kind == 2:
            self.observer = Observer()
            self.leader_speed = 1 + self.dice.uniform(-DRIFT, DRIFT) / 4
