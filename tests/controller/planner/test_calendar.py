"""Local days, fixed hours and windows, where clocks change and elsewhere."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.planner.calendar import HOUR, day_of, day_on, hour_of
from controller.planner.windows import Week
from inventory.pacing import week_window
from tests.controller.planner.pacing_strategies import instants, weeks, zones

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)


@given(instants, zones)
def test_every_instant_lies_in_exactly_one_day_and_days_follow_one_another(
    instant: datetime, zone: ZoneInfo
) -> None:
    day = day_of(instant, zone)
    assert day.start <= instant < day.end
    assert day_on(day.date + timedelta(days=1), zone).start == day.end
    assert timedelta(hours=22) <= day.end - day.start <= timedelta(hours=26)
    assert hour_of(instant) <= instant < hour_of(instant) + HOUR


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 23), (AUTUMN, 25), (date(2026, 7, 1), 24)])
def test_a_day_on_which_the_clock_changes_is_shorter_or_longer(day: date, hours: int) -> None:
    found = day_on(day, BERLIN)
    assert found.end - found.start == timedelta(hours=hours)


def test_a_day_begins_where_midnight_is_skipped() -> None:
    # Beirut's clock goes from 24:00 to 1:00.
    day = day_on(date(2026, 3, 29), ZoneInfo("Asia/Beirut"))
    assert day.start == datetime(2026, 3, 28, 22, tzinfo=UTC)
    assert day.end - day.start == timedelta(hours=23)


def week(*windows: str, zone: ZoneInfo = BERLIN) -> Week:
    return Week(zone, tuple(week_window(window) for window in windows))


def spans(of: Week, day: date) -> list[tuple[str, float]]:
    return [
        (span.start.astimezone(of.zone).strftime("%H:%M"), span.length / HOUR)
        for span in of.open_on(day_on(day, of.zone))
    ]


@pytest.mark.parametrize(
    ("window", "day", "expected"),
    [
        ("mon-fri 08:00-18:00", date(2026, 11, 20), [("08:00", 10)]),
        ("mon-fri 08:00-18:00", date(2026, 11, 21), []),
        ("fri-mon 22:00-24:00", date(2026, 11, 22), [("22:00", 2)]),
        ("wed 08:30-09:00", date(2026, 11, 18), [("08:30", 0.5)]),
        # The clock jumps from 2:00 to 3:00, and back from 3:00 to 2:00.
        ("daily 00:00-24:00", SPRING, [("00:00", 23)]),
        ("daily 01:00-04:00", SPRING, [("01:00", 2)]),
        ("daily 02:00-03:00", SPRING, []),
        ("daily 01:00-04:00", AUTUMN, [("01:00", 4)]),
    ],
)
def test_windows_open_by_the_local_clock(
    window: str, day: date, expected: list[tuple[str, float]]
) -> None:
    assert spans(week(window), day) == expected


def test_windows_that_touch_are_one_and_without_windows_it_is_always_open() -> None:
    both = week("daily 08:00-12:00", "mon-fri 10:00-13:00", "daily 13:00-14:00")
    assert spans(both, date(2026, 11, 20)) == [("08:00", 6)]
    assert spans(week(), SPRING) == [("00:00", 23)]


@given(weeks, instants)
def test_the_next_open_instant_is_open_and_nothing_before_it_is(
    week: Week, instant: datetime
) -> None:
    found = week.next_open(instant)
    if found is None:
        return
    assert found >= instant
    assert week.is_open(found)
    between = instant + (found - instant) / 2
    assert found == instant or not week.is_open(between)


@given(st.sampled_from(["mon 18:00-08:00", "mon 08:00-08:00", "daily 23:00-00:00"]))
def test_a_window_that_closes_before_it_opens_is_none(window: str) -> None:
    with pytest.raises(ValueError, match="must close after it opens"):
        week_window(window)
