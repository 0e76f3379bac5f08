"""Times of a report by our clock: a node's wall clock may be hours off, its differences are true.

What follows from a receiver's words depends on how long ago they were said: a slowed pair doubles
its rate for each quiet hour since. A node whose clock is behind would make them old at once, and
mail that it returns would wait for the time by which its clock is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from postfleet.v1 import node_pb2


def to_our_clock(report: node_pb2.EventReport, now: datetime) -> None:
    """Sets every time of the report right, in place; `now`: aware, when the report came.

    An event from after the report was written (the node's clock was set back between) happened now.
    A report that does not say when it was written is taken at its word, but for what lies ahead.
    """
    if not report.HasField("written_at"):
        for event in report.events:
            event.at.FromDatetime(min(now, event.at.ToDatetime(tzinfo=UTC)))
        return
    written = report.written_at.ToDatetime(tzinfo=UTC)
    report.ClearField("written_at")
    for event in report.events:
        at = min(written, event.at.ToDatetime(tzinfo=UTC))
        event.at.FromDatetime(now - (written - at))
        for other in _more_times(event):
            other.FromDatetime(now + (other.ToDatetime(tzinfo=UTC) - written))


def _more_times(event: node_pb2.MessageEvent) -> Iterator[Timestamp]:
    if event.HasField("not_before"):
        yield event.not_before
