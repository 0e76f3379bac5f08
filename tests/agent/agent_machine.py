"""The agent, step by step on the real SQL of its spool: it may crash between any two steps."""

from __future__ import annotations

import sqlite3
from collections import Counter

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from postfleet.v1 import node_pb2

from node_agent.agent.handover.evidence import absent, in_queue
from node_agent.agent.handover.intake import Ending, Result
from node_agent.agent.handover.results import judge
from node_agent.agent.handover.smtp_text import Reply
from node_agent.agent.lifecycle import FINAL, Fact, FactKind, State
from node_agent.agent.queue_view import QueueView
from node_agent.agent.recall import rules
from node_agent.agent.spool import database, messages, meta, outbox
from node_agent.agent.spool.messages import SpooledMessage
from tests.agent.postfix_model import ENDS, Postfix
from tests.agent.samples import message_id

NUMBERS = st.integers(1, 12)
# Most attempts are deferred, so that the lives of messages are long.
ENDINGS = st.sampled_from([*[FactKind.DEFERRED] * 8, *ENDS])


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
        # of a recall: what it asked to hold, and what it saw after that; after the deletion
        self.asked: dict[str, str] = {}
        self.seen: QueueView | None = None
        self.deleted: tuple[list[str], QueueView] | None = None
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

    @rule(number=NUMBERS)
    def dispatch(self, number: int) -> None:
        """Also again: the controller repeats what it does not know to be stored."""
        token = message_id(number)
        message = SpooledMessage(token, "a@b.test", "c@d.test", "px", 1, 0, 1, State.STORED)
        self.dispatched[token] = message
        self.controller_has.discard(token)
        messages.store(self.db, [(message, b"x")], 0)

    @precondition(lambda self: not self.marked)
    @rule(number=NUMBERS)
    def hand_over_at_once(self, number: int) -> None:
        self.dispatch(number)
        token = message_id(number)
        if messages.mark_handing(self.db, [token], 0):
            queue_id = self.postfix.accept(token)
            self.learn([(token, Fact(FactKind.ACCEPTED, 0, queue_id))])

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
        self.asked, self.seen, self.deleted = {}, None, None
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

    @precondition(lambda self: self.postfix.waiting())
    @rule(data=st.data(), kind=ENDINGS)
    def postfix_tries(self, data: st.DataObject, kind: FactKind) -> None:
        self.postfix.attempt(data.draw(st.sampled_from(self.postfix.waiting())), kind)

    @precondition(lambda self: self.postfix.waiting())
    @rule(data=st.data())
    def postfix_takes_up(self, data: st.DataObject) -> None:
        self.postfix.take_up(data.draw(st.sampled_from(self.postfix.waiting())))

    @precondition(lambda self: self.postfix.delivering)
    @rule(data=st.data(), kind=ENDINGS)
    def postfix_ends(self, data: st.DataObject, kind: FactKind) -> None:
        self.postfix.end(data.draw(st.sampled_from(sorted(self.postfix.delivering))), kind)

    @precondition(lambda self: self.postfix.queue)
    @rule(data=st.data(), held=st.booleans())
    def operator_meddles(self, data: st.DataObject, held: bool) -> None:
        """With postsuper(1), in whatever queue the file is."""
        queue_id = data.draw(st.sampled_from(sorted(self.postfix.queue)))
        if held:
            self.postfix.place[queue_id] = "hold"
        elif queue_id not in self.postfix.delivering:
            self.postfix.unhold([queue_id])

    @precondition(lambda self: not self.asked and messages.in_postfix(self.db))
    @rule(most=st.integers(1, 4))
    def recall_holds(self, most: int) -> None:
        rows = messages.in_postfix(self.db)[:most]
        self.asked = rules.to_hold(rows, self.postfix.view(), ())
        messages.mark_held(self.db, self.asked.values(), True)
        self.postfix.hold_waiting(list(self.asked))

    @precondition(lambda self: self.asked and self.seen is None)
    @rule()
    def recall_looks(self) -> None:
        self.seen = self.postfix.view()

    @precondition(lambda self: self.seen is not None)
    @rule()
    def recall_notes(self) -> None:
        assert self.seen is not None
        self.follow_log(len(self.postfix.log))
        rows = messages.in_postfix(self.db)
        self.learn(rules.to_recall(rows, self.asked, self.seen, 0, 0, (300, 4000)))
        self.asked, self.seen = {}, None

    @precondition(lambda self: self.deleted is None)
    @rule()
    def recall_deletes(self) -> None:
        """Also after a crash: what is noted is deleted."""
        recalling = messages.in_states(self.db, [State.RECALLING])
        self.postfix.delete_held([m.queue_id for m in recalling])
        self.deleted = [m.id for m in recalling], self.postfix.view()

    @precondition(lambda self: self.deleted is not None)
    @rule()
    def recall_concludes(self) -> None:
        assert self.deleted is not None
        ids, view = self.deleted
        self.follow_log(len(self.postfix.log))
        self.learn(rules.after_delete(ids, view, (), 0))
        self.deleted = None

    @precondition(lambda self: not self.asked)
    @rule()
    def recall_lets_go(self) -> None:
        view = self.postfix.view()
        self.follow_log(len(self.postfix.log))
        idle = [m for m in messages.in_postfix(self.db) if m.held and not m.in_flight]
        self.postfix.unhold([m.queue_id for m in idle if m.queue_id in view.held])
        messages.mark_held(self.db, [m.id for m in idle], False)

    @rule(number=NUMBERS)
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
        assert all(times <= 1 for times in self.postfix.taken.values())
        open_files = Counter(self.postfix.queue.values())
        assert all(number == 1 for number in open_files.values())

    @invariant()
    def nothing_is_lost(self) -> None:
        for token in self.dispatched:
            state = self.state(token)
            content = self.db.execute(
                "SELECT count(*) FROM content WHERE message_id = ?", (token,)
            ).fetchone()[0]
            assert content == (state in (State.STORED, State.HANDING))
            if state in (State.STORED, State.RETURNED, State.REFUSED):
                assert token not in self.postfix.queue.values()
                assert token not in self.postfix.ended

    def teardown(self) -> None:
        """Left alone, everything ends, and the controller hears the truth about all of it."""
        self.crash_and_recover()
        for queue_id in sorted(self.postfix.delivering):
            self.postfix.end(queue_id, FactKind.DEFERRED)
        self.recall_deletes()
        self.recall_concludes()
        self.postfix.unhold(list(self.postfix.queue))
        for queue_id in self.postfix.waiting():
            self.postfix.attempt(queue_id, FactKind.SENT)
        self.follow_log(len(self.postfix.log))
        assert messages.in_states(self.db, [State.RECALLING]) == []
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
