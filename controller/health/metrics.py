"""Health, counted. Labels are bounded: scopes and bands."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from controller.metrics import REGISTRY

SUBJECTS = Gauge(
    "postfleet_health_subjects",
    "Mailboxes, egresses and domains that were judged, by scope and band: good, watch, slowed, "
    "paused, quarantined.",
    ["scope", "band"],
    registry=REGISTRY,
)
LOWEST = Gauge(
    "postfleet_health_lowest_score",
    "The lowest score, 0 to 100, by scope.",
    ["scope"],
    registry=REGISTRY,
)
CHANGES = Counter(
    "postfleet_health_changes_total",
    "Verdicts that changed a band, by scope and the band it became.",
    ["scope", "band"],
    registry=REGISTRY,
)
JUDGED = Counter(
    "postfleet_health_judged_total",
    "Verdicts, by scope: mailbox, egress, domain.",
    ["scope"],
    registry=REGISTRY,
)
