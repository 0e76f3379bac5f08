"""The table of a message's life."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from postfleet.v1 import node_pb2

from controller.message_life import FINAL, STEPS, Event, State, after, refunds

events = st.lists(st.sampled_from(Event), max_size=40)


@given(st.sampled_from(State), events)
def test_a_final_state_is_never_left(state: State, happened: list[Event]) -> None:
    final = None
    for event in happened:
        state = after(state, event)
        assert state in State
        if final is not None:
            assert state is final
        if state in FINAL:
            final = state


@given(events)
def test_repeating_a_report_changes_nothing(happened: list[Event]) -> None:
    once = twice = State.DISPATCHED
    for event in happened:
        once = after(once, event)
        twice = after(after(twice, event), event)
        assert once is twice


@given(events)
def test_a_message_known_to_be_sent_is_never_sent_again(happened: list[Event]) -> None:
    state = after(State.QUEUED, Event.SENT)
    for event in happened:
        state = after(state, event)
    assert state is State.SENT


def test_what_may_have_gone_out_returns_to_the_fleet_by_a_decision_only() -> None:
    back = {e for e in Event if after(State.UNCERTAIN, e) in (State.ACCEPTED, State.SCHEDULED)}
    assert back == {Event.RESENT}


def test_every_event_applies_somewhere_and_none_in_a_final_state() -> None:
    assert set(STEPS) == set(Event)
    for step in STEPS.values():
        assert step.sources
        assert not FINAL & set(step.sources)


def test_every_state_can_be_reached_and_every_open_one_left() -> None:
    reached = {State.ACCEPTED}
    for _ in State:
        reached |= {after(state, event) for state in reached for event in Event}
    assert reached == set(State)
    for state in set(State) - FINAL:
        assert {after(state, event) for event in Event} & FINAL


def test_what_nodes_report_is_in_the_table_under_the_same_names() -> None:
    kinds = {
        name.removeprefix("EVENT_KIND_").lower()
        for name in node_pb2.EventKind.DESCRIPTOR.values_by_name
    }
    assert kinds - {"unspecified"} <= {event.value for event in Event}


def test_the_states_are_those_of_the_schema() -> None:
    schema = Path(__file__).parents[2] / "controller/store/migrations/0001_initial.sql"
    check = re.search(r"CHECK \(state IN\s+\(('accepted'.*?)\)\)", schema.read_text(), re.DOTALL)
    assert check
    assert set(re.findall("'([a-z]+)'", check[1])) == set(State)


def test_only_what_certainly_reached_nobody_gives_its_allowance_back() -> None:
    giving = {(s, e) for e in Event for s in STEPS[e].sources if refunds(s, e, attempts=0)}
    assert {event for _, event in giving} == {
        Event.UNPLANNED, Event.SUPPRESSED, Event.CANCELLED, Event.REFUSED
    }  # fmt: skip
    assert State.UNCERTAIN not in {state for state, _ in giving}
    assert not any(refunds(state, event, attempts=1) for state in State for event in Event)
