"""Slots lie in windows, keep their distance, and fill a day as far as windows and gap admit."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.planner.slots import Pace, next_slot
from controller.planner.windows import Week
from inventory.pacing import week_window
from tests.controller.planner.pacing_strategies import instants, paces, weeks

seeds = st.integers(0, 2**53)
OFFICE = Week(ZoneInfo("Europe/Berlin"), (week_window("mon-fri 08:00-18:00"),))
GAP = timedelta(minutes=2)


@settings(deadline=None)
@given(weeks, paces, instants, st.integers(0, 60), st.integers(1, 60), seeds)
def test_a_slot_lies_in_a_window_and_never_nearer_than_the_gap(
    week: Week, pace: Pace, after: datetime, left: int, cap: int, seed: int
) -> None:
    used = max(0, cap - left)
    slot = next_slot(week, pace, after, left, cap, used, seed)
    assert slot == next_slot(week, pace, after, left, cap, used, seed)
    if slot is None:
        return
    assert week.is_open(slot)
    assert slot >= after + pace.min_gap
    if left == 0:
        assert week.day_of(slot).start >= week.day_of(after).end


@settings(deadline=None)
@given(weeks, paces, instants, seeds)
def test_there_is_a_slot_within_days_where_there_is_a_window(
    week: Week, pace: Pace, after: datetime, seed: int
) -> None:
    slot = next_slot(week, pace, after, 5, 5, 0, seed)
    if week.next_open(after + pace.min_gap) is not None:
        assert slot is not None
        assert slot - after < timedelta(days=9)


def day_of_slots(pace: Pace, cap: int, seed: int, day: date = date(2026, 11, 20)) -> list[datetime]:
    """The slots of one day, as a mailbox that always has mail uses them."""
    the_day_before = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=2)
    slots: list[datetime] = []
    at = next_slot(OFFICE, pace, the_day_before, 0, cap, 0, seed)
    while at is not None and OFFICE.day_of(at).date == day:
        slots.append(at)
        used = len(slots)
        at = next_slot(OFFICE, pace, at, max(0, cap - used), cap, used, seed)
    return slots


@settings(deadline=None)
@given(st.integers(1, 100), seeds, st.sampled_from([0.0, 0.3, 0.9]))
def test_a_days_allowance_is_spread_over_its_windows(cap: int, seed: int, jitter: float) -> None:
    slots = day_of_slots(Pace(True, GAP, jitter), cap, seed)
    # Where gaps differ by ten times, the shortest one may push the last slots out of the day.
    assert cap - (3 if jitter > 0.3 else 0) <= len(slots) <= cap
    assert all(b - a >= GAP for a, b in pairwise(slots))
    if cap >= 20:
        hours = Counter(slot.hour for slot in slots)
        assert len(hours) >= 9
        assert max(hours.values()) <= 3 * cap / 10


@settings(deadline=None)
@given(seeds, seeds)
def test_the_jitter_differs_from_mailbox_to_mailbox_and_day_to_day(one: int, other: int) -> None:
    pace = Pace(True, GAP, 0.3)
    monday = day_of_slots(pace, 20, one, date(2026, 11, 23))
    tuesday = day_of_slots(pace, 20, one, date(2026, 11, 24))
    assert [s.time() for s in monday] != [s.time() for s in tuesday]
    if one != other:
        assert monday != day_of_slots(pace, 20, other, date(2026, 11, 23))


def test_without_jitter_gaps_are_even() -> None:
    slots = day_of_slots(Pace(True, GAP, 0), 9, 1)
    assert [slot.astimezone(OFFICE.zone).strftime("%H:%M") for slot in slots] == [
        f"{hour:02}:00" for hour in range(9, 18)
    ]


def test_unspread_slots_follow_one_another_by_the_gap() -> None:
    friday = datetime(2026, 11, 20, 16, 59, tzinfo=UTC)
    pace = Pace(False, GAP, 0)
    assert next_slot(OFFICE, pace, friday - GAP, 5, 50, 3, 1) == friday
    monday = datetime(2026, 11, 23, 7, tzinfo=UTC)
    assert next_slot(OFFICE, pace, friday, 5, 50, 3, 1) == monday


def test_who_may_send_nothing_has_no_slot() -> None:
    friday = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert next_slot(OFFICE, Pace(True, GAP, 0.3), friday, 0, 0, 0, 1) is None
