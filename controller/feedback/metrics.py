"""What came back, counted."""

from __future__ import annotations

from prometheus_client import Counter

from controller.metrics import REGISTRY

FEEDBACK = Counter(
    "postfleet_feedback_total",
    "What came back for messages, told for the first time, by kind: reply, bounce, unsubscribe, "
    "complaint.",
    ["kind"],
    registry=REGISTRY,
)
