"""Metrics of the planner. Label `client` is bounded by the inventory."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from controller.metrics import REGISTRY

ASSIGNED = Counter(
    "postfleet_planner_assigned_total",
    "Messages given a mailbox and an egress, by client.",
    ["client"],
    registry=REGISTRY,
)
HELD_BACK = Gauge(
    "postfleet_planner_held_back",
    "1 while messages of the client wait for an allowance or the end of a suspension, by client.",
    ["client"],
    registry=REGISTRY,
)
OVERDUE = Counter(
    "postfleet_planner_overdue_total",
    "Messages planned anew because the hour they were charged to ended before a node had them.",
    registry=REGISTRY,
)
CONFLICTS = Counter(
    "postfleet_planner_conflicts_total",
    "Rounds of a client left to another planner that was at work on it.",
    registry=REGISTRY,
)
