"""What a recall may touch, by what was seen; and a spool from before there was one."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from node_agent.agent.lifecycle import Fact, FactKind, State, step
from node_agent.agent.queue_view import QueueView
from node_agent.agent.recall import rules
from node_agent.agent.right import Right
from node_agent.agent.spool import database, messages, outbox
from node_agent.agent.spool.messages import InPostfix, SpooledMessage
from tests.agent.samples import message_id
from tests.agent.test_pure import lease

S = 1_000_000_000
M = message_id(1)
QUEUED = InPostfix(M, "Q1", "px001", 1, False, False, queued_ms=1_000, attempted_ms=0)
BACKOFF_S = (300, 4000)


def view(held: bool = False, **files: str) -> QueueView:
    return QueueView(files or {"Q1": M}, frozenset({"Q1"} if held else ()), {})


def test_what_waits_is_held_by_the_name_its_file_has_now() -> None:
    assert rules.to_hold([QUEUED], view(), ()) == {"Q1": M}
    assert rules.to_hold([QUEUED], view(Q9=M), ()) == {"Q9": M}


def test_what_others_hold_is_theirs_and_what_is_doubled_or_gone_is_nobodys() -> None:
    assert rules.to_hold([QUEUED], view(held=True), ()) == {}
    ours = replace(QUEUED, held=True)
    assert rules.to_hold([ours], view(held=True), ()) == {"Q1": M}
    assert rules.to_hold([ours], view(held=True), {"Q1"}) == {}
    assert rules.to_hold([QUEUED], view(Q1=M, Q2=M), ()) == {}
    assert rules.to_hold([QUEUED], view(Q3=message_id(2)), ()) == {}


def recall(message: InPostfix, seen: QueueView, gap_ms: int = 0) -> list[FactKind]:
    facts = rules.to_recall([message], {"Q1": M}, seen, gap_ms, 9_000, BACKOFF_S)
    return [fact.kind for _, fact in facts]


def test_only_what_is_seen_on_hold_and_idle_is_recalled() -> None:
    assert recall(QUEUED, view(held=True)) == [FactKind.RECALL]
    assert recall(QUEUED, view()) == []
    assert recall(replace(QUEUED, in_flight=True), view(held=True)) == []


@pytest.mark.parametrize(("gap_ms", "kind"), [(999, FactKind.RECALL), (1000, FactKind.UNCERTAIN)])
def test_where_the_log_has_a_hole_since_it_was_queued_it_is_uncertain(
    gap_ms: int, kind: FactKind
) -> None:
    assert recall(QUEUED, view(held=True), gap_ms) == [kind]


@pytest.mark.parametrize(
    ("age_s", "wait_s"), [(0, 300), (10, 300), (1_000, 1_000), (90_000, 4_000)]
)
def test_the_next_try_is_when_postfix_would_make_it(age_s: int, wait_s: int) -> None:
    tried_ms = QUEUED.queued_ms + age_s * 1000
    at_ms = rules.retry_at_ms(replace(QUEUED, attempted_ms=tried_ms), BACKOFF_S)
    assert at_ms == tried_ms + wait_s * 1000


def test_what_was_never_tried_may_go_at_once() -> None:
    assert rules.retry_at_ms(QUEUED, BACKOFF_S) == 0


def test_a_refusal_of_this_node_is_no_attempt() -> None:
    assert Fact(FactKind.DEFERRED, 0, reason="451 4.7.1 later").asked_receiver
    assert not Fact(FactKind.DEFERRED, 0, gateway_stage="lease").asked_receiver
    own = "postfleet: no egress for this sender on this node"
    assert not Fact(FactKind.DEFERRED, 0, reason=own).asked_receiver
    assert not Fact(FactKind.SEEN, 0).asked_receiver


def test_after_the_deletion_gone_is_recalled_and_elsewhere_is_not() -> None:
    gone = rules.after_delete([M], view(Q3=message_id(2)), (), 0)
    assert [(i, fact.kind) for i, fact in gone] == [(M, FactKind.RECALLED)]
    assert rules.after_delete([M], view(held=True), (), 0) == []
    for seen, guarded in ((view(), ()), (view(held=True), {"Q1"})):
        failed = rules.after_delete([M], seen, guarded, 0)
        assert [fact.kind for _, fact in failed] == [FactKind.RECALL_FAILED]


def test_whose_egress_it_is_can_be_told_with_a_valid_lease_only() -> None:
    made = Right()
    assert made.holds("px001", 101 * S) is None
    made.use_lease(lease())
    assert made.holds("px001", 101 * S) is True
    assert made.holds("px002", 101 * S) is False
    assert made.holds("px001", 200 * S) is None
    made.release(["px001"], 1)
    assert made.holds("px001", 101 * S) is False
    made.use_lease(lease(epoch=2))
    assert made.holds("px001", 101 * S) is True


def test_a_returned_message_that_is_sent_after_all_is_a_double() -> None:
    sent = Fact(FactKind.SENT, 0, queue_id="Q1")
    assert step(State.RETURNED, "Q1", sent).doubled
    assert not step(State.SENT, "Q1", sent).doubled


def test_the_words_of_a_return_say_when_to_try_again() -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    database._set_up(db)
    message = SpooledMessage(M, "a@b.test", "c@d.test", "px001", 1, 0, 1, State.STORED)
    messages.store(db, [(message, b"x")], 500)
    messages.mark_handing(db, [M], 1_000)
    for fact in (
        Fact(FactKind.ACCEPTED, 1_500, "Q1"),
        Fact(FactKind.SEEN, 1_600, "Q1", log_line="active"),
        Fact(FactKind.RECALL, 1_700, "Q1"),
        Fact(FactKind.DEFERRED, 2_000, "Q1", reason="451 later"),
    ):
        messages.learn(db, M, fact, fact.at_ms)
    # In delivery, nothing is noted.
    (row,) = messages.in_postfix(db)
    assert (row.queued_ms, row.attempted_ms, row.in_flight) == (1_000, 2_000, False)
    facts = rules.to_recall([row], {"Q1": M}, view(held=True), 0, 3_000, BACKOFF_S)
    for message_id_, fact in [*facts, (M, Fact(FactKind.RECALLED, 4_000))]:
        messages.learn(db, message_id_, fact, fact.at_ms)
    returned = outbox.after(db, 0, 10, 10**6)[-1]
    assert returned.not_before.ToMilliseconds() == 302_000
    assert returned.reason == "taken out of Postfix's queue before it was sent"
    assert returned.queue_id == "Q1"
    db.close()


def test_a_spool_from_before_recall_is_taken_up_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    old = database.connect(path)
    message = SpooledMessage(M, "a@b.test", "c@d.test", "px001", 1, 0, 1, State.STORED)
    messages.store(old, [(message, b"x")], 0)
    for name in ("queued_ms", "attempted_ms"):
        old.execute(f"ALTER TABLE message DROP COLUMN {name}")
    old.close()
    taken_up = database.connect(path)
    messages.mark_handing(taken_up, [M], 7)
    messages.learn(taken_up, M, Fact(FactKind.ACCEPTED, 8, "Q1"), 8)
    (row,) = messages.in_postfix(taken_up)
    assert (row.queued_ms, row.attempted_ms) == (7, 0)
    taken_up.close()
