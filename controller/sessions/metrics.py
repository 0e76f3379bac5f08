"""What sessions count. Labels are bounded: kinds and results, never a mailbox or a message."""

from __future__ import annotations

from postfleet.v1 import node_pb2
from prometheus_client import Counter, Gauge

from controller.events.fold import KINDS
from controller.metrics import REGISTRY

SESSIONS = Gauge(
    "postfleet_controller_sessions", "Nodes connected to this controller.", registry=REGISTRY
)
SESSIONS_ENDED = Counter(
    "postfleet_controller_sessions_ended_total",
    "Sessions that ended, by reason: closed, refused, superseded, stopped, broken, store.",
    ["reason"],
    registry=REGISTRY,
)
HEARTBEATS = Counter(
    "postfleet_controller_heartbeats_total",
    "Heartbeats answered, by result: granted, not-granted.",
    ["result"],
    registry=REGISTRY,
)
EVENTS = Counter(
    "postfleet_controller_events_total",
    "New events nodes reported, by kind: queued, deferred, sent, bounced, expired, uncertain, "
    "refused, returned, unknown.",
    ["kind"],
    registry=REGISTRY,
)
OUTSTANDING = Gauge(
    "postfleet_controller_dispatched_unacknowledged",
    "Messages sent to nodes of this controller without their word that they are on disk.",
    registry=REGISTRY,
)


def count_event(event: node_pb2.MessageEvent) -> None:
    """Counts one new event."""
    EVENTS.labels(str(KINDS.get(event.kind, "unknown"))).inc()
