"""Times of a report count from when it was written, whatever the node's clock says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from postfleet.v1 import node_pb2

from controller.events.node_clock import to_our_clock

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
OFFSETS = st.timedeltas(timedelta(days=-400), timedelta(days=400))
AGES = st.timedeltas(timedelta(0), timedelta(days=5))


def report(written: datetime | None, at: datetime, not_before: datetime | None = None) -> (
    node_pb2.EventReport
):  # fmt: skip
    made = node_pb2.EventReport(events=[node_pb2.MessageEvent(seq=1)])
    made.events[0].at.FromDatetime(at)
    if written is not None:
        made.written_at.FromDatetime(written)
    if not_before is not None:
        made.events[0].not_before.FromDatetime(not_before)
    return made


def time_of(made: node_pb2.EventReport) -> datetime:
    return made.events[0].at.ToDatetime(tzinfo=UTC)


@given(OFFSETS, AGES, AGES)
def test_the_age_is_kept_and_the_clocks_offset_is_not(
    offset: timedelta, age: timedelta, wait: timedelta
) -> None:
    made = report(NOW + offset, NOW + offset - age, NOW + offset + wait)
    to_our_clock(made, NOW)
    assert time_of(made) == NOW - age
    assert made.events[0].not_before.ToDatetime(tzinfo=UTC) == NOW + wait


def test_an_event_from_after_the_report_happened_now() -> None:
    made = report(NOW, NOW + timedelta(hours=1))
    to_our_clock(made, NOW)
    assert time_of(made) == NOW


def test_a_report_that_does_not_say_when_it_was_written_is_taken_as_it_is() -> None:
    made = report(None, NOW - timedelta(hours=7))
    to_our_clock(made, NOW)
    assert time_of(made) == NOW - timedelta(hours=7)
    made = report(None, NOW + timedelta(hours=7))
    to_our_clock(made, NOW)
    assert time_of(made) == NOW


def test_a_report_is_set_right_once() -> None:
    made = report(NOW - timedelta(hours=2), NOW - timedelta(hours=3))
    to_our_clock(made, NOW)
    to_our_clock(made, NOW + timedelta(minutes=1))
    assert time_of(made) == NOW - timedelta(hours=1)
