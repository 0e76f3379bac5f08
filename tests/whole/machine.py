"""What a node of the simulation is made of: a disk with the agent's spool, the agent's memory,
Postfix and the gateway; what is left of each after a crash, and what the evidence says then.

The spool is the real one (SQLite), and so are the rules of evidence.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator

from postfleet.v1 import node_pb2, spec_pb2

from node_agent.agent import guard_reports, suspensions
from node_agent.agent.handover.evidence import absent, in_queue
from node_agent.agent.lifecycle import Fact, FactKind
from node_agent.agent.lifecycle import State as Kept
from node_agent.agent.right import Right
from node_agent.agent.spool import database, messages, meta
from node_agent.agent.spool.messages import SpooledMessage
from node_agent.gateway.admission import Rules
from tests.whole.bugs import Bug
from tests.whole.postfix import Postfix

NS_PER_MS = 1_000_000
_OVER = object()


def spec_of(egresses: list[str]) -> spec_pb2.NodeSpec:
    """All nodes run the same: what they may use, the lease says."""
    spec = spec_pb2.NodeSpec(generation=1)
    for egress in egresses:
        spec.egresses.add(id=egress, client_id="c", mailboxes=[mailbox_of(egress)])
    return spec


def mailbox_of(egress: str) -> str:
    return f"m@{egress}.test"


def stop_of(egress: str) -> node_pb2.Suspension:
    scope = node_pb2.SUSPENSION_SCOPE_EGRESS
    return node_pb2.Suspension(scope=scope, subject=egress, reason="seen to be bad")


class Machine:
    def __init__(self, name: str, speed: float, egresses: list[str], bug: Bug) -> None:
        self.name, self.speed, self.bug = name, speed, bug
        self._spec = spec_of(egresses)
        self._numbers = 0
        self.lose_disk()

    # The machine.

    def lose_disk(self) -> None:
        """Another disk, another boot: nothing is left but the name."""
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        database._set_up(self.db)
        self.spool_id = str(meta.read(self.db, "spool_id"))
        self.postfix = Postfix(self.bug)
        self.gateway = Rules()
        # Of what is suspended, what the gateway was told last.
        self.told_stops: frozenset[str] = frozenset()
        # How many messages a recall brought back.
        self.recalled = 0
        self.restart_agent()

    def lose_power(self, others_too: Collection[str]) -> None:
        """Everything ends without a word. The disk stays, and the guard looks at it before Postfix
        starts again."""
        self.end_postfix(others_too)
        self.gateway = Rules()
        self.restart_agent()

    def end_postfix(self, others_too: Collection[str]) -> None:
        """All of Postfix is killed; the agent's connection to it breaks."""
        self.postfix.end(others_too)
        self.offering.clear()

    def restart_agent(self) -> None:
        """The agent's memory is gone. What was under way is decided by the evidence."""
        self.right = Right(gateway_knows=False)
        self.right.use_spec(self._spec)
        self.right.highest_epoch = int(meta.read(self.db, "highest_epoch", 0))
        self.right.released = meta.read(self.db, "released", {})
        # Message id to whether Postfix has answered with a queue id already.
        self.offering: dict[str, str] = {}
        self.releasing: dict[str, int] = {}
        self.holds = {q for _, q in messages.not_held(self.db) if q}
        # What the controller asked back because it is cancelled.
        self.cancelled: set[str] = set()
        # A recall under way.
        self.recalling: Iterator[None] | None = None
        self.right.suspensions = suspensions.read(self._kept_stops())
        self.sent_at_ns: dict[int, int] = {}
        self.reported = int(meta.read(self.db, "acked_seq"))
        self.resolve()

    def unresolved(self) -> list[SpooledMessage]:
        """What a hand-over that broke off left behind."""
        return [m for m in self.rows(Kept.HANDING) if m.id not in self.offering]

    def resolve(self) -> None:
        """A look at the queue, and then the log to its end, decide that: see evidence.py."""
        if self.bug is not Bug.LOG_NOT_READ:
            handing = [m.id for m in self.unresolved()]
            self.learn(in_queue(handing, self.postfix.look().messages, 0))
            self.follow(len(self.postfix.log))
        self.learn(absent(self.unresolved(), 0, 0, 0))

    def clock_ns(self, now_ms: int) -> int:
        return int(now_ms * self.speed * NS_PER_MS)

    # The spool.

    def learn(self, facts: list[tuple[str, Fact]]) -> None:
        for token, fact in facts:
            step = messages.learn(self.db, token, fact, 0)
            if step is not None and step.hold and fact.queue_id:
                self.holds.add(fact.queue_id)

    def log_read(self) -> int:
        return int(meta.read(self.db, "log_position", 0))

    def follow(self, most: int) -> None:
        """The log follower reads on: facts and position in one transaction."""
        begin = self.log_read()
        for entry in self.postfix.log[begin : begin + most]:
            token = entry.message_id or messages.id_of_queue_file(self.db, entry.queue_id)
            if token:
                self.learn([(token, entry.fact)])
        meta.write(self.db, "log_position", min(begin + most, len(self.postfix.log)))

    def hold(self) -> None:
        """postfleet-apply holds what is to be held."""
        held = {q for q in self.holds if q not in self.postfix.delivering}
        if self.bug is not Bug.HOLD_FORGOTTEN:
            self.postfix.hold(held)
        messages.mark_held(self.db, [self.token_of(q) for q in held], held=True)
        self.holds -= held

    def token_of(self, queue_id: str) -> str:
        return messages.id_of_queue_file(self.db, queue_id) or ""

    def rows(self, *states: Kept) -> list[SpooledMessage]:
        return messages.in_states(self.db, states)

    def waiting(self) -> list[SpooledMessage]:
        """What may be handed over: stored, and not on its way already."""
        return [m for m in self.rows(Kept.STORED) if m.id not in self.offering]

    def go_on_recalling(self) -> None:
        """The next step of the recall under way."""
        if self.recalling is not None and next(self.recalling, _OVER) is _OVER:
            self.recalling = None

    def end_recalling(self) -> None:
        """All that is left of it, with nothing in between."""
        while self.recalling is not None:
            self.go_on_recalling()

    def see_to_guard(self) -> None:
        """What the guard holds is uncertain, unless the log tells how it ended: queue_watch.py."""
        view = self.postfix.look()
        self.follow(len(self.postfix.log))
        reports = self.postfix.reports
        ids = [view.messages[q] for q in reports if q in view.messages]
        judgement = guard_reports.judge(reports, view, messages.states(self.db, ids))
        self.learn(
            [
                (token, Fact(FactKind.UNCERTAIN, 0, queue_id=queue_id, reason=reason))
                for token, (queue_id, reason) in judgement.open.items()
            ]
        )
        self.postfix.delete(judgement.over)
