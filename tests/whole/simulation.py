"""A whole fleet on a simulated network and clock: controllers, nodes, receivers.

`do(kind, dice)` makes one step of a kind; `dice` chooses among what is possible. True time is known
to nobody inside: nodes and leader have clocks that run at different speeds. Wires keep their order
and may be slow for ever; a session that ended may still have words under way to the controller.
Recall from Postfix's queue and the loss of power are not played yet.

`violations` says which invariants of DESIGN are hurt, in words.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from postfleet.v1 import node_pb2

from controller.leases.observer import Observer, TermOver
from controller.message_life import Event, State
from node_agent.agent.lifecycle import FINAL, FactKind
from node_agent.agent.lifecycle import State as Kept
from node_agent.agent.spool import meta, outbox
from tests.whole.bugs import Bug
from tests.whole.node import Node, mailbox_of
from tests.whole.tables import CAP, MARGIN_MS, ON_NODE, TTL_MS, Message, Tables, new_tables

NODES, EGRESSES = ("n1", "n2", "n3"), ("e1", "e2")
MESSAGES_TO_AN_EGRESS = 20
DRIFT = 0.15
LONGEST_LOG = 10**6


@dataclass
class Wire:
    """One session's two streams. Words are calls that the other end has not made yet."""

    node: Node
    session: int
    up: deque[Callable[[], None]] = field(default_factory=deque)
    down: deque[Callable[[], None]] = field(default_factory=deque)
    alive: bool = True


class Simulation:
    def __init__(self, dice: random.Random, bug: Bug = Bug.NONE) -> None:
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
        for egress in self.egresses:
            for number in range(MESSAGES_TO_AN_EGRESS):
                token = f"{egress}m{number}".ljust(26, "0")
                self.tables.messages[token] = Message(token, egress)
        self.done: Counter[str] = Counter()

    def do(self, kind: str, dice: random.Random) -> None:
        """One step; nothing happens where nothing of this kind is possible."""
        possible = getattr(self, f"_{kind}")(dice)
        if possible:
            dice.choice(possible)()
            self.done[kind] += 1
        for node in self.nodes.values():
            for queue_id in node.to_cut(self.now_ms):
                self._cut(node, queue_id, dice)

    # Time, and what goes wrong. Each gives the steps that are possible.

    def _time(self, dice: random.Random) -> list[Any]:
        return [lambda ms=ms: self._pass(ms) for ms in (10, 50, 150, 300, 700)]

    def _long_time(self, dice: random.Random) -> list[Any]:
        return [lambda ms=ms: self._pass(ms) for ms in (4500, 5300, 5800, 6300, 7500)]

    def _pass(self, ms: int) -> None:
        self.now_ms += ms

    def _trouble(self, dice: random.Random) -> list[Any]:
        nodes = self._awake()
        return (
            [lambda n=n: self._break(n) for n in nodes]
            + [lambda n=n: self._restart(n) for n in nodes]
            + [self._fail_over]
        )

    def _freeze(self, dice: random.Random) -> list[Any]:
        """Rather one with a connection open; at most one stands still at a time."""
        if self.frozen is not None:
            return [lambda: self._stand_still(None)] if dice.random() < 0.3 else []
        waiting = [wire.node for wire in self._alive() if wire.down]
        return [
            lambda n=n: self._stand_still(n)
            for n in self.nodes.values()
            for _ in range(5 if n.postfix.delivering or n in waiting else 1)
        ]

    def _stand_still(self, node: Node | None) -> None:
        self.frozen = node

    def _awake(self) -> list[Node]:
        return [node for node in self.nodes.values() if node is not self.frozen]

    def _disaster(self, dice: random.Random) -> list[Any]:
        return [lambda n=n: self._lose_disk(n) for n in self.nodes.values()]

    def _fail_over(self) -> None:
        """Another controller leads; what the old one was about to do may still happen."""
        self.observer = Observer()

    def _break(self, node: Node) -> None:
        """The session ends. Its words to the controller may still arrive."""
        for wire in self.wires:
            if wire.node is node and wire.alive:
                wire.alive = False
                wire.down.clear()
        node.sent_at_ns.clear()
        node.releasing.clear()
        self.wires = [w for w in self.wires if w.alive or w.up][-20:]

    def _restart(self, node: Node) -> None:
        self._break(node)
        node.restart_agent()

    def _lose_disk(self, node: Node) -> None:
        self._break(node)
        node.lose_disk()

    # The controller.

    def _lead(self, dice: random.Random) -> list[Any]:
        steps: list[Any] = [self._look] * 3 + [lambda: self._reconcile(dice)]
        late = self.endings if dice.random() < 0.3 else []
        return steps + [lambda t=t: self._end(t) for t in late] * 3

    def _look(self) -> None:
        now_s = self.now_ms * self.leader_speed / 1000
        over = self.observer.look(self.tables.lease_rows(), read_from_s=now_s, read_until_s=now_s)
        self.endings += [term for term in over if term not in self.endings]

    def _end(self, term: TermOver) -> None:
        """The transaction comes some time after the look."""
        self.endings.remove(term)
        self.tables.end_term(term)

    def _reconcile(self, dice: random.Random) -> None:
        if dice.random() < 0.25:
            self.tables.cordoned = {dice.choice(sorted(self.nodes))}
        self.tables.reconcile(rebalance=dice.random() < 0.3)

    def _plan(self, dice: random.Random) -> list[Any]:
        messages = list(self.tables.messages.values())
        accepted = [m for m in messages if m.state is State.ACCEPTED]
        return [lambda m=m: self.tables.plan(m) for m in accepted]

    def _operate(self, dice: random.Random) -> list[Any]:
        acts = (Event.UNPLANNED, Event.SUPPRESSED, Event.CANCELLED)
        free = [m for m in self.tables.messages.values() if m.state not in ON_NODE]
        return [lambda m=m, a=a: self.tables.end_by_operator(m, a) for m in free for a in acts]

    def _dispatch(self, dice: random.Random) -> list[Any]:
        return [lambda w=w: self._claim(w) for w in self._alive()]

    def _claim(self, wire: Wire) -> None:
        message = self.tables.claim(wire.node.name, wire.session)
        if message is not None:
            self._send(wire, message)

    def _send(self, wire: Wire, message: Message) -> None:
        words = node_pb2.DispatchedMessage(
            message_id=message.id, mailbox=mailbox_of(message.egress), egress_id=message.egress,
            epoch=message.epoch or 0,
        )  # fmt: skip
        wire.down.append(lambda: self._dispatched(wire, words))

    def _dispatched(self, wire: Wire, words: node_pb2.DispatchedMessage) -> None:
        stored, name = wire.node.take(words), wire.node.name
        wire.up.append(lambda: self.tables.answered(name, wire.session, words.message_id, stored))

    def _ask_back(self, dice: random.Random) -> list[Any]:
        return [
            lambda w=w, e=e, p=p: w.down.append(lambda: self._asked_back(w, e, p))
            for w in self._alive()
            for e, p in self.tables.asked_back(w.node.name)
            if self.tables.leases[w.node.name].session == w.session
        ]

    def _asked_back(self, wire: Wire, egress: str, epoch: int) -> None:
        wire.node.asked_back(egress, epoch)

    # Wires.

    def _alive(self) -> list[Wire]:
        return [wire for wire in self.wires if wire.alive]

    def _heard(self) -> list[Wire]:
        """Wires whose nodes can speak and hear."""
        return [wire for wire in self._alive() if wire.node is not self.frozen]

    def _session(self, dice: random.Random) -> list[Any]:
        connected = {wire.node.name for wire in self._alive()}
        return [lambda n=n: self._dial(n) for n in self._awake() if n.name not in connected]

    def _dial(self, node: Node) -> None:
        self.sessions += 1
        wire = Wire(node, self.sessions)
        self.wires.append(wire)
        node.reported = int(meta.read(node.db, "acked_seq"))
        for message in self.tables.admit(node.name, wire.session, node.spool_id):
            self._send(wire, message)

    def _carry(self, dice: random.Random) -> list[Any]:
        late = dice.random() < 0.1
        up = [lambda w=w: w.up.popleft()() for w in self.wires if w.up and (w.alive or late)]
        return up + [lambda w=w: w.down.popleft()() for w in self._heard() if w.down]

    def _heartbeat(self, dice: random.Random) -> list[Any]:
        return [lambda w=w: self._beat(w) for w in self._heard()]

    def _beat(self, wire: Wire) -> None:
        self.seq += 1
        seq, node = self.seq, wire.node
        node.sent_at_ns[seq] = node.clock_ns(self.now_ms)
        wire.up.append(lambda: self._renewed(wire, seq))

    def _renewed(self, wire: Wire, seq: int) -> None:
        grant = self.tables.renew(wire.node.name, wire.session)
        told_ms, node = self.now_ms, wire.node
        if grant is not None and wire.alive:
            wire.down.append(
                lambda: node.granted(
                    seq, grant[0], TTL_MS, MARGIN_MS, grant[1], told_ms, self.now_ms
                )
            )

    def _round_trip(self, dice: random.Random) -> list[Any]:
        """What mostly happens, in one step: a heartbeat, all words either way, the gateway told."""
        return [lambda w=w: self._converse(w) for w in self._heard()]

    def _converse(self, wire: Wire) -> None:
        self._beat(wire)
        for words in (wire.up, wire.down):
            while words:
                words.popleft()()
        wire.node.tell_gateway(self.now_ms)

    def _report(self, dice: random.Random) -> list[Any]:
        return [lambda w=w: self._tell(w, 3) for w in self._heard()]

    def _tell(self, wire: Wire, most: int) -> None:
        node, spool_id = wire.node, wire.node.spool_id
        events = node.to_report(most)
        if not events:
            return
        if self.bug is Bug.ACKNOWLEDGED_BEFORE:
            outbox.acknowledge(node.db, events[-1].seq)

        def stored() -> None:
            self.tables.report(node.name, spool_id, events)
            if wire.alive:
                wire.down.append(lambda: outbox.acknowledge(node.db, events[-1].seq))

        wire.up.append(stored)

    # The nodes.

    def _agent(self, dice: random.Random) -> list[Any]:
        steps: list[Any] = []
        for n in self._awake():
            steps += [lambda n=n: n.tell_gateway(self.now_ms)] * (not n.right.gateway_knows)
            steps += [lambda n=n: n.follow(2)] * (n.log_read() < len(n.postfix.log))
            steps += [n.hold] * bool(n.holds)
            steps += [n.sweep] * bool(n.stale())
        for wire in self._heard():
            steps += [lambda w=wire, e=e: self._give_back(w, e) for e in wire.node.releasing] * 3
        return steps

    def _give_back(self, wire: Wire, egress: str) -> None:
        epoch = wire.node.give_back(egress)
        if epoch is not None:
            self._tell(wire, LONGEST_LOG)
            name = wire.node.name
            wire.up.append(lambda: self.tables.release(name, egress, epoch))

    def _hand_over(self, dice: random.Random) -> list[Any]:
        steps: list[Any] = []
        for n in self._awake():
            steps += [lambda n=n, m=m: n.mark(m, self.now_ms) for m in n.waiting()]
            for token, queue_id in n.offering.items():
                egress = self.tables.messages[token].egress
                if queue_id:
                    steps += [lambda n=n, t=token: n.hear(t, FactKind.ACCEPTED)]
                else:
                    steps += [lambda n=n, t=token, e=egress: n.offer(t, e)] * 3
                    steps += [lambda n=n, t=token: self._turn_down(n, t)]
        return steps

    def _serve(self, dice: random.Random) -> list[Any]:
        """What mostly happens, in one step: a message reaches Postfix, and that tries at once."""
        return [lambda n=n, m=m: self._pass_on(n, m) for n in self._awake() for m in n.waiting()]

    def _pass_on(self, node: Node, message: Any) -> None:
        node.mark(message, self.now_ms)
        if message.id in node.offering:
            node.offer(message.id, message.egress_id)
            queue_id = node.offering[message.id]
            node.hear(message.id, FactKind.ACCEPTED)
            node.try_delivery(queue_id, self.now_ms)

    def _turn_down(self, node: Node, token: str) -> None:
        self.turned_down.add(token)
        node.hear(token, FactKind.TURNED_DOWN)

    def _postfix(self, dice: random.Random) -> list[Any]:
        steps: list[Any] = []
        for n in self._awake():
            for q in n.postfix.queue:
                if n.may_try(q):
                    steps += [lambda n=n, q=q: n.try_delivery(q, self.now_ms)] * 4
                elif q in n.postfix.delivering:
                    steps.append(lambda n=n, q=q: self._answer(n, q, dice))
        return steps

    def _answer(self, node: Node, queue_id: str, dice: random.Random) -> None:
        """The receiver's answer; the last one is lost on its way."""
        others = [FactKind.SENT, FactKind.BOUNCED, FactKind.UNCERTAIN]
        kind = dice.choice([FactKind.DEFERRED] * 5 + others)
        self._reach(node, queue_id, taken=kind in (FactKind.SENT, FactKind.UNCERTAIN))
        if kind is FactKind.BOUNCED:
            self.turned_down.add(node.postfix.queue[queue_id].token)
        node.end_delivery(queue_id, kind)

    def _cut(self, node: Node, queue_id: str, dice: random.Random) -> None:
        """Before the final dot, or after it, when the receiver has it and nobody hears."""
        if dice.random() < 0.5:
            self._reach(node, queue_id, taken=False)
            node.end_delivery(queue_id, FactKind.DEFERRED)
        else:
            self._reach(node, queue_id, taken=True)
            node.end_delivery(queue_id, FactKind.UNCERTAIN)

    def _reach(self, node: Node, queue_id: str, *, taken: bool) -> None:
        token = node.postfix.queue[queue_id].token
        self.asked[token] += 1
        self.delivered[token] += taken

    # The invariants of DESIGN.

    def violations(self) -> list[str]:
        return [*self._two_senders(), *self._messages(), *self._caps()]

    def _two_senders(self) -> list[str]:
        """Also where the second has not begun yet, but would be let out."""
        may = Counter(
            egress
            for node in self.nodes.values()
            for egress in self.egresses
            if egress in node.postfix.delivering.values()
            or node.gateway.may_open(egress, node.clock_ns(self.now_ms)) is None
        )
        return [f"{egress} is open to two nodes" for egress, number in may.items() if number > 1]

    def _messages(self) -> list[str]:
        found = [f"{token} was sent {n} times" for token, n in self.delivered.items() if n > 1]
        at_hand = Counter(
            row.id
            for node in self.nodes.values()
            for row in node.rows(Kept.STORED, Kept.HANDING, Kept.QUEUED)
        )
        for token, number in at_hand.items():
            free = self.tables.messages[token].state in (State.ACCEPTED, State.SCHEDULED)
            if number + free > 1:
                found.append(f"{token} is in two places")
        for message in self.tables.messages.values():
            if message.state is State.SENT and not self.delivered[message.id]:
                found.append(f"{message.id} counts as sent and was not")
            elif message.state is State.BOUNCED and message.id not in self.turned_down:
                found.append(f"{message.id} counts as bounced and was not")
            elif message.attempts > self.asked[message.id]:
                found.append(f"{message.id} counts more attempts than were made")
            elif message.state in ON_NODE and message.stored and self._is_lost(message):
                found.append(f"{message.id} is lost: nobody has it, nobody will tell")
        return found

    def _is_lost(self, message: Message) -> bool:
        """The controller believes it on a node; does the node have it, or a word on it to tell?"""
        node = self.nodes[message.node or ""]
        if node.spool_id != self.tables.leases[node.name].spool_id:
            return False  # Its disk is lost, which the controller will learn from its Hello.
        row = node.db.execute(
            "SELECT state, queue_id FROM message WHERE id = ?", (message.id,)
        ).fetchone()
        if row is None:
            return True
        state, queue_id = Kept(row[0]), row[1]
        untold = any(
            event.message_id == message.id and (node.spool_id, event.seq) not in self.tables.events
            for event in outbox.after(node.db, 0, LONGEST_LOG, LONGEST_LOG)
        )
        if state in FINAL or state is Kept.UNCERTAIN:
            return not untold
        unread = node.postfix.log[node.log_read() :]
        return (
            state is Kept.QUEUED
            and queue_id not in node.postfix.queue
            and not any(entry.queue_id == queue_id for entry in unread)
        )

    def _caps(self) -> list[str]:
        spent: Counter[str] = Counter()
        for message in self.tables.messages.values():
            counts = (State.SCHEDULED, *ON_NODE, State.UNCERTAIN)
            spent[message.egress] += self.asked[message.id] > 0 or message.state in counts
        return [f"{e} has {n} of {CAP} messages a day" for e, n in spent.items() if n > CAP]


KINDS: dict[str, float] = {
    "time": 14, "long_time": 0.2, "freeze": 2, "trouble": 1, "disaster": 0, "lead": 8, "plan": 2,
    "operate": 0.1, "dispatch": 6, "ask_back": 3, "session": 6, "carry": 15, "heartbeat": 5,
    "round_trip": 14, "report": 6, "agent": 10, "hand_over": 6, "serve": 6, "postfix": 8,
}  # fmt: skip
"""The kinds of steps, and how often each comes in a run of dice."""


def run(seed: int, steps: int, bug: Bug = Bug.NONE) -> tuple[int, list[str], Simulation]:
    """Runs until something is violated; gives at which step (0: at none), and what."""
    dice = random.Random(seed)
    simulation = Simulation(dice, bug)
    # The weather of this run: some kinds come more often than else, others hardly.
    weights = KINDS | {"disaster": dice.choice([0, 0, 0.3])}
    for kind in dice.sample(sorted(KINDS), 4):
        weights[kind] *= dice.choice([0.2, 4])
    kinds = dice.choices(list(weights), list(weights.values()), k=steps)
    for step, kind in enumerate(kinds, 1):
        simulation.do(kind, dice)
        if found := simulation.violations():
            return step, found, simulation
    return 0, [], simulation
