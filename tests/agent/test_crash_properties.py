"""Whatever Postfix answers and whenever the agent dies: nothing lost, nothing doubled.

The spool's real SQL on one side; on the other a model of Postfix that knows what it accepted. The
agent's steps are played one by one, so a crash may come between any two of them.
"""

from __future__ import annotations

import sqlite3

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from postfleet.v1 import node_pb2

from node_agent.agent.handover.evidence import absent, in_queue
from node_agent.agent.handover.intake import Ending, Result
from node_agent.agent.handover.results import judge
from node_agent.agent.handover.smtp_text import Reply
from node_agent.agent.lifecycle import FINAL, Fact, FactKind, State
from node_agent.agent.spool import database, messages, meta, outbox
from node_agent.agent.spool.messages import SpooledMessage
from tests.agent.standins import message_id

ENDS = {
    FactKind.SENT: node_pb2.EVENT_KIND_SENT,
    FactKind.BOUNCED: node_pb2.EVENT_KIND_BOUNCED,
    FactKind.EXPIRED: node_pb2.EVENT_KIND_EXPIRED,
    FactKind.UNCERTAIN: node_pb2.EVENT_KIND_UNCERTAIN,
}


class Postfix:
    """What Postfix has, had, and logged: the truth the agent can only look at."""

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.queue: dict[str, str] = {}
        self.log: list[tuple[str | None, str, Fact]] = []
        self.ended: dict[str, FactKind] = {}

    def accept(self, token: str) -> str:
        self.accepted.append(token)
        queue_id = f"Q{len(self.accepted)}"
        self.queue[queue_id] = token
        return queue_id

    def attempt(self, queue_id: str, kind: FactKind) -> None:
        """qmgr(8) takes the file up, which it logs, and the attempt ends."""
        token = self.queue[queue_id]
        self.log.append((token, queue_id, Fact(FactKind.SEEN, 0, queue_id, log_line="active")))
        self.log.append((None, queue_id, Fact(kind, 0, queue_id, reason=kind, log_line=kind)))
        if kind in ENDS:
            self.ended[self.queue[queue_id]] = kind
            if kind is not FactKind.UNCERTAIN:
                del self.queue[queue_id]


class AgentMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        database._set_up(self.db)
        self.postfix = Postfix()
        self.dispatched: dict[str, SpooledMessage] = {}
        self.log_read = 0
        # in the memory of the process: results that are not written down yet
        self.results: list[Result] | None = None
        self.marked: list[str] = []
        self.told: list[node_pb2.MessageEvent] = []
        self.refused: set[str] = set()
        self.controller_has: set[str] = set()

    def state(self, token: str) -> State:
        (row,) = self.db.execute("SELECT state FROM message WHERE id = ?", (token,)).fetchall()
        return State(row[0])

    def learn(self, facts: list[tuple[str, Fact]]) -> None:
        for token, fact in facts:
            step = messages.learn(self.db, token, fact, 0)
            assert step is None or not step.doubled

    @rule(number=st.integers(1, 12))
    def dispatch(self, number: int) -> None:
        """Also again: the controller repeats what it does not know to be stored."""
        token = message_id(number)
        message = SpooledMessage(token, "a@b.test", "c@d.test", "px", 1, 0, 1, State.STORED)
        self.dispatched[token] = message
        self.controller_has.discard(token)
        messages.store(self.db, [(message, b"x")], 0)

    @precondition(lambda self: not self.marked)
    @rule(most=st.integers(1, 4))
    def mark(self, most: int) -> None:
        stored = [m.id for m in messages.in_states(self.db, [State.STORED])][:most]
        self.marked = [m.id for m, _ in messages.mark_handing(self.db, stored, 0)]

    @precondition(lambda self: self.marked and self.results is None)
    @rule(data=st.data())
    def offer(self, data: st.DataObject) -> None:
        """Postfix answers, or accepts and the answer is lost, or nothing arrives at all."""
        self.results = []
        for index, token in enumerate(self.marked):
            answer = data.draw(st.sampled_from(["250", "4", "5", "lost", "cut"]), label=token)
            if answer == "250":
                reply = Reply(250, f"2.0.0 Ok: queued as {self.postfix.accept(token)}")
                self.results.append(Result(token, Ending.QUEUED, reply))
            elif answer in "45":
                ending = Ending.DEFERRED if answer == "4" else Ending.REFUSED
                self.refused |= {token} if answer == "5" else set()
                self.results.append(Result(token, ending, Reply(int(answer) * 100, "no")))
            else:
                if answer == "lost":
                    self.postfix.accept(token)
                self.results.append(Result(token, Ending.UNKNOWN, Reply(0, "cut")))
                rest = self.marked[index + 1 :]
                self.results += [Result(t, Ending.NOT_SENT, Reply(0, "")) for t in rest]
                return

    @precondition(lambda self: self.results is not None)
    @rule()
    def write_results_down(self) -> None:
        judgement = judge(self.results or [], 0)
        self.learn(judgement.facts)
        self.results, self.marked = None, judgement.unknown
        if judgement.unknown:
            self.ask_the_evidence()

    @rule()
    def crash_and_recover(self) -> None:
        """Whatever was in memory is gone; the new process asks the evidence."""
        self.results, self.marked = None, []
        self.ask_the_evidence()

    def ask_the_evidence(self) -> None:
        handing = [m.id for m in messages.in_states(self.db, [State.HANDING])]
        self.learn(in_queue(handing, dict(self.postfix.queue), 0))
        self.follow_log(len(self.postfix.log))
        left = messages.in_states(self.db, [State.HANDING])
        self.learn(absent(left, 0, 0, 0))
        self.marked = []

    @rule(most=st.integers(1, 8))
    def follow_log(self, most: int) -> None:
        for token, queue_id, fact in self.postfix.log[self.log_read : self.log_read + most]:
            known = token or messages.id_of_queue_file(self.db, queue_id)
            if known:
                self.learn([(known, fact)])
        self.log_read = min(self.log_read + most, len(self.postfix.log))

    @precondition(lambda self: self.postfix.queue)
    @rule(
        data=st.data(),
        kind=st.sampled_from([*ENDS, FactKind.DEFERRED]),
    )
    def postfix_tries(self, data: st.DataObject, kind: FactKind) -> None:
        open_files = [q for q, t in self.postfix.queue.items() if t not in self.postfix.ended]
        if open_files:
            self.postfix.attempt(data.draw(st.sampled_from(open_files)), kind)

    @rule(number=st.integers(1, 12))
    def take_back(self, number: int) -> None:
        token = message_id(number)
        step = messages.learn(self.db, token, Fact(FactKind.TAKEN_BACK, 0), 0)
        if step is not None and step.state is State.RETURNED:
            self.controller_has.add(token)

    @rule(most=st.integers(1, 20))
    def report(self, most: int) -> None:
        acked = int(meta.read(self.db, "acked_seq"))
        events = outbox.after(self.db, acked, most, 10**6)
        self.told += events
        if events:
            outbox.acknowledge(self.db, events[-1].seq)

    @invariant()
    def nothing_is_doubled(self) -> None:
        assert len(self.postfix.accepted) == len(set(self.postfix.accepted))

    @invariant()
    def nothing_is_lost(self) -> None:
        for token in self.dispatched:
            state = self.state(token)
            content = self.db.execute(
                "SELECT count(*) FROM content WHERE message_id = ?", (token,)
            ).fetchone()[0]
            assert content == (state in (State.STORED, State.HANDING))
            if state in (State.STORED, State.RETURNED, State.REFUSED):
                assert token not in self.postfix.accepted

    def teardown(self) -> None:
        """Left alone, everything ends, and the controller hears the truth about all of it."""
        self.crash_and_recover()
        for queue_id in [q for q, t in self.postfix.queue.items() if t not in self.postfix.ended]:
            self.postfix.attempt(queue_id, FactKind.SENT)
        self.follow_log(len(self.postfix.log))
        self.report(10_000)
        assert [e.seq for e in self.told] == list(range(1, len(self.told) + 1))
        last = {e.message_id: e.kind for e in self.told}
        for token, message in self.dispatched.items():
            state = self.state(message.id)
            if token in self.postfix.ended:
                assert last[token] == ENDS[self.postfix.ended[token]]
            elif state is State.REFUSED:
                assert token in self.refused
                assert last[token] == node_pb2.EVENT_KIND_REFUSED
            elif state is not State.STORED:
                # A refusal that a crash kept from being written down will come again.
                assert state is State.RETURNED
                assert last[token] == node_pb2.EVENT_KIND_RETURNED
            assert state in FINAL | {State.STORED, State.UNCERTAIN}
        self.db.close()


AgentMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestNothingLostNothingDoubled = AgentMachine.TestCase
