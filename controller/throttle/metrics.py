"""What receivers said, counted. Labels are bounded by the provider table and the rule book."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge

from controller.metrics import REGISTRY
from controller.providers.table import ProviderTable
from controller.throttle.heard import Heard

REFUSALS = Counter(
    "postfleet_receiver_refusals_total",
    "Deferrals and refusals of receivers, by provider (of the table; else other) and what they are "
    "about: recipient, content, reputation, policy, capacity, network, unknown.",
    ["provider", "scope"],
    registry=REGISTRY,
)
FIRED = Counter(
    "postfleet_shaping_rules_fired_total",
    "Replies that fired a shaping rule, by provider, action: slow, suspend, bounce, nothing; rule.",
    ["provider", "action", "rule"],
    registry=REGISTRY,
)
SUPPRESSED = Counter(
    "postfleet_receiver_recipients_ended_total",
    "Permanent failures about a recipient, by provider; each suppresses the recipient.",
    ["provider"],
    registry=REGISTRY,
)
RULES_REFUSED = Gauge(
    "postfleet_shaping_rules_refused",
    "1 while the operator's file of shaping rules is refused and the rules before it hold.",
    registry=REGISTRY,
)


def count(heard: Iterable[Heard], table: ProviderTable) -> None:
    """Counts what was stored."""
    for each in heard:
        provider = table.label(each.provider)
        if each.by_receiver:
            REFUSALS.labels(provider, each.meaning.scope).inc()
        if each.rule is not None:
            FIRED.labels(provider, each.rule.action, each.rule.name).inc()
        if each.ends_recipient:
            SUPPRESSED.labels(provider).inc()
