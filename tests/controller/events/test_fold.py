"""What events make of a message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postfleet.v1 import node_pb2

from controller.events.fold import KINDS, Told, fold
from controller.message_life import FINAL, State

DUE = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DISPATCHED = Told("m", State.DISPATCHED, "", 0, "", stored=True, epoch=3, not_before=DUE)


def event(kind: str, **fields: object) -> node_pb2.MessageEvent:
    return node_pb2.MessageEvent(
        message_id="m",
        kind=node_pb2.EventKind.Value(f"EVENT_KIND_{kind}"),
        **fields,  # type: ignore[arg-type]
    )


def test_a_message_goes_its_way() -> None:
    outcome = fold(
        DISPATCHED,
        [
            event("QUEUED", queue_id="4Q"),
            event("DEFERRED", reason="450 later"),
            event("SENT", reason="250 ok", queue_id="4Q"),
        ],
    )
    assert outcome.message == replace(
        DISPATCHED, state=State.SENT, queue_id="4Q", attempts=2, reason="250 ok"
    )
    assert outcome.changed
    assert not outcome.refund


def test_an_attempt_our_gateway_stopped_is_none() -> None:
    stopped = event("DEFERRED", gateway_stage="lease", reason="421 4.3.2 postfleet: …")
    assert fold(DISPATCHED, [stopped]).message.attempts == 0


def test_a_message_the_local_postfix_refused_is_bounced_and_refunded() -> None:
    outcome = fold(DISPATCHED, [event("REFUSED", reason="552 too large")])
    assert outcome.message.state is State.BOUNCED
    assert outcome.refund


def test_a_returned_message_waits_for_dispatch_again() -> None:
    outcome = fold(DISPATCHED, [event("RETURNED", reason="released", epoch=3)])
    assert outcome.message.state is State.SCHEDULED
    assert not outcome.message.stored
    assert not outcome.refund


def test_what_comes_back_out_of_a_queue_keeps_its_attempts_and_waits_its_time() -> None:
    queued = fold(DISPATCHED, [event("QUEUED", queue_id="4Q"), event("DEFERRED", reason="451")])
    again = event("RETURNED", epoch=3)
    again.not_before.FromDatetime(DUE + timedelta(minutes=5))
    outcome = fold(queued.message, [again])
    assert outcome.message.state is State.SCHEDULED
    assert (outcome.message.attempts, outcome.message.queue_id) == (1, "")
    assert outcome.message.not_before == DUE + timedelta(minutes=5)
    assert not outcome.refund


def test_no_return_makes_a_message_due_earlier() -> None:
    early = event("RETURNED", epoch=3)
    early.not_before.FromDatetime(DUE - timedelta(hours=1))
    assert fold(DISPATCHED, [early]).message.not_before == DUE


def test_a_return_from_an_earlier_term_returns_nothing() -> None:
    assert not fold(DISPATCHED, [event("RETURNED", epoch=2)]).changed


@pytest.mark.parametrize("state", sorted(FINAL))
@pytest.mark.parametrize("kind", sorted(KINDS.values()))
def test_nothing_changes_a_message_that_has_ended(state: State, kind: str) -> None:
    ended = replace(DISPATCHED, state=state, reason="the end")
    outcome = fold(ended, [event(kind.upper(), reason="late", queue_id="X")])
    assert not outcome.changed
    assert not outcome.refund


def test_evidence_ends_what_was_uncertain() -> None:
    uncertain = fold(DISPATCHED, [event("UNCERTAIN", reason="no answer to the final dot")])
    assert uncertain.message.state is State.UNCERTAIN
    assert fold(uncertain.message, [event("SENT")]).message.state is State.SENT


def test_kinds_of_a_later_version_change_nothing() -> None:
    assert not fold(DISPATCHED, [node_pb2.MessageEvent(kind=99)]).changed  # type: ignore[arg-type]


@given(st.lists(st.sampled_from(sorted(KINDS)), max_size=12))
def test_folding_again_what_was_folded_never_leaves_a_final_state(kinds: list[int]) -> None:
    events = [node_pb2.MessageEvent(kind=kind) for kind in kinds]  # type: ignore[arg-type]
    once = fold(DISPATCHED, events)
    if once.message.final:
        assert not fold(once.message, events).changed
