"""Metrics of intake. Labels are bounded: results are the codes of submission.proto."""

from __future__ import annotations

from collections import Counter as CountOf
from collections.abc import Sequence

from prometheus_client import Counter, Histogram

from controller.intake.ingest import Result, Taken
from controller.metrics import REGISTRY

# result: accepted, duplicate, or a rejection's code.
MESSAGES = Counter(
    "postfleet_intake_messages_total",
    "Messages answered by SubmissionService, by result: accepted, duplicate, or why not taken.",
    ["result"],
    registry=REGISTRY,
)
OCTETS = Counter(
    "postfleet_intake_octets_total",
    "Octets of content submitted, whatever became of it.",
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "postfleet_intake_request_seconds",
    "Time from a submission request to its durable answer.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
    registry=REGISTRY,
)


def count(results: Sequence[Result], octets: int, seconds: float) -> None:
    """Counts one answered request."""
    for label, number in CountOf(map(_label, results)).items():
        MESSAGES.labels(label).inc(number)
    OCTETS.inc(octets)
    REQUEST_SECONDS.observe(seconds)


def _label(result: Result) -> str:
    if isinstance(result, Taken):
        return "duplicate" if result.duplicate else "accepted"
    return str(result.code)
