"""What pacing may meet: instants near changes of clocks, odd zones, windows, paces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from controller.planner.slots import Pace
from controller.planner.windows import Week
from inventory.pacing import week_window

# Half hours, quarter hours, a day left out (Apia, December 2011), midnights skipped (Beirut).
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe",
         "Asia/Beirut", "Pacific/Chatham", "Pacific/Apia", "America/St_Johns")  # fmt: skip
zones = st.sampled_from([ZoneInfo(name) for name in ZONES])
# Hypothesis wants the limits without a zone.
_FROM, _TO = datetime(2026, 1, 1), datetime(2028, 1, 1)  # noqa: DTZ001
# Around Europe's and America's changes of the clock, and anywhere.
_CHANGES = [datetime(2026, month, day, tzinfo=UTC) for month, day in
            ((3, 8), (3, 28), (3, 29), (4, 4), (10, 24), (10, 25), (11, 1))]  # fmt: skip
instants = st.datetimes(_FROM, _TO, timezones=st.just(UTC)) | st.builds(
    lambda day, seconds: day + timedelta(seconds=seconds),
    st.sampled_from(_CHANGES),
    st.integers(0, 2 * 86_400),
)
windows = st.lists(
    st.sampled_from([
        "mon-fri 08:00-18:00", "daily 00:00-24:00", "daily 01:30-02:30", "sat-mon 22:00-24:00",
        "sun 00:00-03:30", "daily 09:00-12:00", "daily 13:00-17:00", "wed 10:00-10:30",
    ]),
    max_size=3,
)  # fmt: skip
weeks = st.builds(
    lambda zone, given: Week(zone, tuple(week_window(each) for each in given)), zones, windows
)
paces = st.builds(
    Pace,
    st.booleans(),
    st.sampled_from([timedelta(0), timedelta(seconds=1), timedelta(minutes=2), timedelta(hours=3)]),
    st.sampled_from([0.0, 0.3, 0.9]),
)
