"""Every client gets a turn in each cycle, in proportion to its priority."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from controller.planner.shares import shares

priorities = st.dictionaries(st.text(min_size=1), st.integers(0, 100), max_size=30)


@given(priorities, st.integers(1, 1000))
def test_nobody_is_left_out_and_nobody_gets_more_than_the_batch(
    given: dict[str, int], batch: int
) -> None:
    shared = shares(given, batch)
    assert shared.keys() == given.keys()
    assert all(1 <= share <= batch for share in shared.values())


@given(priorities.filter(bool), st.integers(101, 10_000))
def test_shares_are_as_priorities_but_for_rounding(given: dict[str, int], batch: int) -> None:
    shared = shares(given, batch)
    highest = max(given.values())
    for client, priority in given.items():
        fair = Fraction(batch * (1 + priority), 1 + highest)
        assert abs(shared[client] - fair) < 1


@given(priorities.filter(bool), st.integers(1, 1000), st.integers(1, 10))
def test_a_client_with_ten_waits_a_bounded_number_of_cycles(
    given: dict[str, int], batch: int, waiting: int
) -> None:
    """However much the others have: at most as many cycles as it has messages."""
    client = min(given, key=lambda c: given[c])
    cycles, left = 0, waiting
    while left > 0:
        left -= shares(given, batch)[client]
        cycles += 1
    assert cycles <= waiting
