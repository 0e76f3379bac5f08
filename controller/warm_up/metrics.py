"""Metrics of warm-up mail."""

from __future__ import annotations

from prometheus_client import Counter

from controller.metrics import REGISTRY

WRITTEN = Counter(
    "postfleet_warm_up_mail_total",
    "Messages that the controller wrote between the fleet's own mailboxes, by kind: start (of a "
    "thread), reply.",
    ["kind"],
    registry=REGISTRY,
)
REFUSED = Counter(
    "postfleet_warm_up_mail_refused_total",
    "Messages of warm-up mail that intake refused (a suppressed mailbox, say).",
    registry=REGISTRY,
)
STALE = Counter(
    "postfleet_warm_up_mail_stale_total",
    "Messages of warm-up mail cancelled because no slot came for them within a day.",
    registry=REGISTRY,
)
