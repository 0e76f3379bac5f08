"""A circuit breaker: a run opens it, one message tries it, an acceptance closes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from controller.throttle.breaker import (
    FIRST_PAUSE,
    FORGET,
    LONGEST_PAUSE,
    RUN,
    Breaker,
    Position,
    accepted,
    pause,
    refused,
)

T0 = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


PLAIN = Breaker(T0)


def opened(breaker: Breaker = PLAIN, at: datetime = T0) -> Breaker:
    for _ in range(RUN):
        breaker = refused(breaker, at)
    assert breaker.position is Position.OPEN
    return breaker


def test_a_run_opens_and_an_acceptance_breaks_a_run() -> None:
    breaker = Breaker(T0)
    for _ in range(RUN - 1):
        breaker = refused(breaker, T0)
    breaker = accepted(breaker, T0)
    assert breaker == Breaker(T0)
    assert opened().until == T0 + FIRST_PAUSE


def test_while_open_refusals_of_mail_under_way_change_nothing() -> None:
    breaker = opened()
    assert refused(breaker, T0 + FIRST_PAUSE - SECOND) == breaker


def test_a_refused_trial_opens_it_for_twice_as_long() -> None:
    breaker, at = opened(), T0
    for times in (2, 3, 4):
        assert breaker.until is not None
        at = breaker.until
        assert breaker.is_half_open(at)
        assert not breaker.is_half_open(at - SECOND)
        breaker = refused(breaker, at)
        assert breaker.until == at + FIRST_PAUSE * 2 ** (times - 1)
    assert pause(50) == LONGEST_PAUSE


def test_what_closed_lately_opens_longer_and_what_held_for_a_day_does_not() -> None:
    at = T0 + FIRST_PAUSE
    closed = accepted(opened(), at)
    assert closed.position is Position.CLOSED
    assert not closed.is_plain(at)
    assert opened(closed, at + SECOND).opened == 2
    assert opened(closed, at + FORGET).opened == 1
    assert closed.is_plain(at + FORGET)


_STEPS = st.lists(
    st.tuples(st.sampled_from([refused, accepted]), st.integers(0, 7200)), min_size=1, max_size=60
)


@given(_STEPS)
def test_it_opens_only_by_a_run_and_never_for_longer_than_the_longest(
    steps: list[tuple[object, int]],
) -> None:
    breaker, now, run = Breaker(T0), T0, 0
    for step, seconds in steps:
        now += seconds * SECOND
        before = breaker
        breaker = step(breaker, now)  # type: ignore[operator]
        run = run + 1 if step is refused else 0
        if step is accepted:
            assert breaker.position is Position.CLOSED
            assert breaker.refusals == 0
        if before.position is Position.CLOSED and breaker.position is Position.OPEN:
            assert run >= RUN
        if breaker.position is Position.OPEN:
            assert breaker.until is not None
            assert breaker.until - breaker.changed_at <= LONGEST_PAUSE
            assert breaker.until > breaker.changed_at
        else:
            assert breaker.refusals < RUN
        if before.position is Position.OPEN and breaker != before and step is refused:
            assert before.is_half_open(now)
            assert breaker.opened == before.opened + 1
