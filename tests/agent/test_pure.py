"""Lease arithmetic, the right to hand over, suspensions, back-off, the waiting room, VERP."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postfleet.v1 import node_pb2

from node_agent.agent import suspensions, verp
from node_agent.agent.backoff import delay_s
from node_agent.agent.guard_reports import judge as judge_held
from node_agent.agent.handover.leftovers import peers_at_work
from node_agent.agent.handover.waiting import Waiting, WaitingRoom
from node_agent.agent.lease import Lease, granted, newer
from node_agent.agent.lifecycle import State
from node_agent.agent.queue_view import QueueView, read
from node_agent.agent.queue_watch import vanished
from node_agent.agent.right import Right
from node_agent.agent.session.discard import plan as plan_discard
from tests.agent.samples import SPEC, message_id

S = 1_000_000_000


def lease(epoch: int = 1, sent_s: int = 100) -> Lease:
    names = frozenset({"px001"})
    return granted(sent_s * S, epoch, 60_000, 5_000, names, sent_s * 1000, sent_s * S)


def right() -> Right:
    made = Right(gateway_knows=True)
    made.use_spec(SPEC)
    made.use_lease(lease())
    return made


def why_not(made: Right, now_s: int, epoch: int = 1, mailbox: str = "info@a.test") -> str | None:
    return made.why_not(mailbox, "px001", epoch, now_s * S, 0)


def test_trust_counts_from_the_sending_of_the_heartbeat() -> None:
    held = lease(sent_s=100)
    assert (held.trusted_until_ns, held.expires_at_ns) == (155 * S, 160 * S)
    assert held.valid(155 * S - 1)
    assert not held.valid(155 * S)


@pytest.mark.parametrize(("epoch", "ttl", "margin"), [(0, 60, 5), (1, 5, 5), (1, 5, 6), (1, 5, 0)])
def test_a_grant_without_sense_is_none(epoch: int, ttl: int, margin: int) -> None:
    with pytest.raises(ValueError, match="a grant with"):
        granted(0, epoch, ttl, margin, frozenset(), 1, 0)


def test_a_grant_that_does_not_say_the_time_is_none() -> None:
    with pytest.raises(ValueError, match="what time it is"):
        granted(0, 1, 60_000, 5_000, frozenset(), 0, 0)


@given(
    committed_ms=st.integers(1, 10**13),
    on_its_way_ms=st.lists(st.integers(0, 50_000), min_size=1, max_size=4),
    later_ms=st.integers(0, 60_000),
    wall_offset_ms=st.integers(-(10**9), 10**9),
)
def test_the_time_that_a_node_goes_by_is_never_ahead_of_the_controllers(
    committed_ms: int, on_its_way_ms: list[int], later_ms: int, wall_offset_ms: int
) -> None:
    """However late the answers come, and whatever the node's clock has for a zero."""
    held: Lease | None = None
    sent_ns = (committed_ms + wall_offset_ms) * 1_000_000
    for delay_ms in on_its_way_ms:
        arrived_ns = sent_ns + delay_ms * 1_000_000
        grant = granted(sent_ns, 1, 60_000, 5_000, frozenset(), committed_ms, arrived_ns)
        held = newer(held, grant)
        assert held is not None
    now_ns = sent_ns + (max(on_its_way_ms) + later_ms) * 1_000_000
    controllers_ms = committed_ms + max(on_its_way_ms) + later_ms
    assert held is not None
    assert held.fleet_ms(now_ns) == controllers_ms - min(on_its_way_ms)
    if held.valid(now_ns):
        assert held.fleet_ms(now_ns) < committed_ms + 60_000


def test_a_late_answer_to_an_earlier_heartbeat_shortens_nothing() -> None:
    held = lease(sent_s=100)
    assert newer(held, lease(sent_s=95)) is None
    assert newer(held, lease(sent_s=105)) is not None
    assert newer(held, lease(epoch=2, sent_s=1)) is not None
    assert newer(lease(epoch=2), lease(epoch=1, sent_s=999)) is None


def test_a_right_needs_everything_at_once() -> None:
    assert why_not(right(), 101) is None
    assert why_not(Right(), 101) == "no valid lease"
    assert why_not(right(), 155) == "no valid lease"
    assert why_not(right(), 101, epoch=2) == "egress px001 is not leased in term 2"
    assert "is not on px001" in str(why_not(right(), 101, mailbox="else@a.test"))
    blind = right()
    blind.gateway_knows = False
    assert why_not(blind, 101) == "the gateway does not have the lease"


def test_an_egress_given_back_opens_again_in_a_later_term_only() -> None:
    made = right()
    made.release(["px001"], 1)
    assert why_not(made, 101) == "egress px001 was given back in term 1"
    assert made.why_refused("info@a.test", "px001", 1) is not None
    made.use_lease(lease(epoch=2))
    assert why_not(made, 101, epoch=2) is None


def test_a_restarted_agent_refuses_terms_it_knew_to_be_over() -> None:
    made = Right(highest_epoch=5)
    assert made.why_refused("info@a.test", "px001", 4) == (
        "stale-epoch",
        "dispatched in term 4, this is term 5",
    )
    assert made.why_refused("info@a.test", "px001", 5) is None
    assert not made.use_lease(lease(epoch=4))


def test_what_only_waits_for_its_spec_is_taken() -> None:
    made = right()
    assert made.why_refused("new@a.test", "px001", 1) is None
    refusal = made.why_refused("new@a.test", "px009", 1)
    assert refusal is not None
    assert refusal[0] == "unknown-egress"


def suspension(scope: int, subject: str, until_ms: int | None = None) -> node_pb2.Suspension:
    made = node_pb2.Suspension(
        scope=node_pb2.SuspensionScope.ValueType(scope), subject=subject, reason="test"
    )
    if until_ms is not None:
        made.until.FromMilliseconds(until_ms)
    return made


@pytest.mark.parametrize(
    ("scope", "subject"), [(1, "info@a.test"), (2, "px001"), (3, "a.test"), (4, "acme")]
)
def test_each_scope_stops_its_mail_until_its_time(scope: int, subject: str) -> None:
    held = suspensions.read([suspension(scope, subject, 1000)])
    assert held.why_stopped("info@a.test", "px001", "acme", 999) is not None
    assert held.why_stopped("info@a.test", "px001", "acme", 1000) is None
    assert held.why_stopped("else@b.test", "px002", "other", 999) is None
    assert held.next_end_ms(0) == 1000


def test_an_unknown_scope_is_not_ignored() -> None:
    with pytest.raises(ValueError, match="scope"):
        suspensions.read([node_pb2.Suspension(subject="x")])


@given(failures=st.integers(1, 10_000), seed=st.integers())
def test_back_off_is_bounded_and_never_nothing(failures: int, seed: int) -> None:
    wait_s = delay_s(failures, 0.5, 30.0, random.Random(seed))
    assert 0.05 <= wait_s <= 30.0


def waiting(number: int, mailbox: str, due_ms: int) -> Waiting:
    return Waiting(message_id(number), mailbox, "px001", 1, due_ms)


def test_groups_take_turns_and_due_times_hold() -> None:
    room = WaitingRoom()
    for n in range(10):
        room.add(waiting(n, "much@a.test", n))
    room.add(waiting(20, "little@a.test", 5))
    room.add(waiting(21, "little@a.test", 500))
    taken = room.take(100, lambda *_: True, 4)
    assert "little@a.test" in {w.mailbox for w in taken}
    assert len(taken) == 4
    rest = room.take(100, lambda *_: True, 100)
    assert len(rest) == 7
    assert [w.due_ms for w in rest if w.mailbox == "much@a.test"] == sorted(
        w.due_ms for w in rest if w.mailbox == "much@a.test"
    )
    assert room.next_due_ms(lambda *_: True) == 500
    assert room.next_due_ms(lambda *_: False) is None


def test_closed_groups_keep_their_mail() -> None:
    room = WaitingRoom()
    room.add(waiting(1, "a@a.test", 0))
    room.add(waiting(2, "b@a.test", 0))
    taken = room.take(1, lambda mailbox, *_: mailbox == "a@a.test", 10)
    assert [w.id for w in taken] == [message_id(1)]
    assert message_id(2) in room


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60))
def test_the_room_holds_exactly_what_was_added_and_not_discarded(
    steps: list[tuple[int, bool]],
) -> None:
    room, held = WaitingRoom(), set()
    for number, add in steps:
        if add:
            room.add(waiting(number, f"{number % 3}@a.test", number))
            held.add(message_id(number))
        else:
            room.discard(message_id(number))
            held.discard(message_id(number))
    assert {w.id for w in room.take(1000, lambda *_: True, 1000)} == held
    assert len(room) == 0


def test_the_token_is_found_in_the_sender_that_carries_it() -> None:
    sender = verp.with_token("first.last@a.test", message_id(7))
    assert sender == f"first.last+{message_id(7)}@a.test"
    assert verp.token_of(sender) == message_id(7)
    for no_token in ("", "a@b", "a+b@c.test", f"a+{message_id(7)}", f"+{message_id(7)}@b"):
        assert verp.token_of(no_token) is None
    for bad in ("no-at", "a+b@c.test", "@c.test", "a@"):
        with pytest.raises(ValueError, match="mailbox"):
            verp.with_token(bad, message_id(7))


TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0100007F:295B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   1: 0100007F:295B 0100007F:C001 08 00000000:00000000 00:00000000 00000000     0
   2: 0100007F:295B 0100007F:C002 01 00000000:00000000 00:00000000 00000000     0
   3: 0100007F:295B 0100007F:C003 06 00000000:00000000 00:00000000 00000000     0
   4: 0100007F:C002 0100007F:295B 01 00000000:00000000 00:00000000 00000000     0
"""


def test_leftovers_are_connections_the_server_still_holds() -> None:
    assert peers_at_work(TABLE, 10587, frozenset()) == {0xC001, 0xC002}
    assert peers_at_work(TABLE, 10587, frozenset({0xC002})) == {0xC001}
    assert peers_at_work(TABLE, 25, frozenset()) == set()


QUEUE = (
    b'{"queue_name": "hold", "queue_id": "Q1", "sender": "a+%s@b.test", "recipients": []}\n'
    b'{"queue_name": "deferred", "queue_id": "Q2", "sender": "MAILER-DAEMON"}\n'
    % message_id(1).encode()
)


def test_the_queue_names_our_messages_by_their_token() -> None:
    view = read(QUEUE.splitlines())
    assert view.messages == {"Q1": message_id(1)}
    assert view.sizes == {"hold": 1, "deferred": 1}
    assert vanished([message_id(1), message_id(2), message_id(3)], view, {message_id(2)}) == [
        message_id(2)
    ]


def test_what_the_guard_held_is_judged_by_what_is_known_of_its_message() -> None:
    view = QueueView(
        {f"Q{n}": message_id(n) for n in range(1, 7)}, frozenset({"Q1", "Q2", "Q3", "Q4", "Q5"}), {}
    )
    states = {
        message_id(1): State.QUEUED,
        message_id(2): State.SENT,
        message_id(3): State.UNCERTAIN,
        message_id(4): State.HANDING,
        message_id(6): State.QUEUED,
    }
    reports = {f"Q{n}": f"why {n}" for n in range(1, 8)}
    judgement = judge_held(reports, view, states)
    # Q4: the hand-over's own evidence comes first; Q5: nobody's here; Q6: released; Q7: gone
    assert judgement.open == {message_id(1): ("Q1", "why 1")}
    assert judgement.over == ["Q2"]


def test_only_uncertain_messages_are_discarded_and_only_under_their_queue_id() -> None:
    states = {
        message_id(1): State.UNCERTAIN,
        message_id(2): State.UNCERTAIN,
        message_id(3): State.QUEUED,
        message_id(4): State.SENT,
        message_id(5): State.RETURNED,
    }
    asked = [node_pb2.HeldMessage(message_id=message_id(n), queue_id="Q") for n in range(1, 7)]
    made = plan_discard(asked, states, {message_id(1): "Q", message_id(2): "Q2"})
    assert made.delete == {message_id(1): "Q"}
    assert made.done == [message_id(n) for n in (4, 5, 6)]


def test_mail_without_a_place_is_told_from_mail_that_only_waits() -> None:
    made = right()
    assert made.why_misplaced("info@a.test", "px001", 1, 101 * S) is None
    assert "is not on px001" in str(made.why_misplaced("else@a.test", "px001", 1, 101 * S))
    assert "is not leased" in str(made.why_misplaced("info@a.test", "px002", 1, 101 * S))
    assert made.why_misplaced("info@a.test", "px002", 1, 999 * S) is None
    assert Right().why_misplaced("info@a.test", "px001", 1, 101 * S) is None
