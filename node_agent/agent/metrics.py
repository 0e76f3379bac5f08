"""The agent's Prometheus metrics. Labels are bounded: never a mailbox, recipient or message."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

STORED = Counter("postfleet_agent_messages_stored_total", "Messages taken into the spool.")
DISPATCH_REFUSED = Counter(
    "postfleet_agent_dispatch_refused_total",
    "Dispatched messages that were refused; code: stale-epoch, unknown-egress, disk-full, "
    "too-many, malformed.",
    ["code"],
)
HAND_OVERS = Counter(
    "postfleet_agent_hand_overs_total",
    "Messages offered to Postfix; ending: queued, deferred, refused, not-sent, unknown.",
    ["ending"],
)
HAND_OVER_SECONDS = Histogram(
    "postfleet_agent_hand_over_batch_seconds",
    "Time from marking a batch to its last result on disk.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300),
)
EVENTS = Counter(
    "postfleet_agent_events_total",
    "Events written to the outbox; kind: queued, deferred, sent, bounced, expired, uncertain, "
    "refused, returned.",
    ["kind"],
)
LOCAL_DEFERRALS = Counter(
    "postfleet_agent_gateway_deferrals_total",
    "Attempts that our own gateway refused; stage: lease, suspended, proxy-connect, proxy-auth, "
    "proxy-request, target-connect.",
    ["stage"],
)
RECALLED = Counter(
    "postfleet_agent_recalled_total",
    "Messages taken out of Postfix's queue unsent and returned to the controller.",
)
DOUBLED = Counter(
    "postfleet_agent_doubled_total",
    "Messages seen in Postfix a second time after their end. Anything above 0 is a bug.",
)
MESSAGES = Gauge(
    "postfleet_agent_messages",
    "Messages by state: stored, handing, queued, recalling, uncertain.",
    ["state"],
)
OUTBOX = Gauge("postfleet_agent_outbox_events", "Events the controller has not acknowledged.")
LEASE_SECONDS = Gauge(
    "postfleet_agent_lease_remaining_seconds", "Until the lease is not trusted any more; 0: none."
)
CONNECTED = Gauge("postfleet_agent_connected", "1 while a session with the controller is open.")
SESSIONS = Counter("postfleet_agent_sessions_total", "Sessions begun with the controller.")
GENERATION = Gauge("postfleet_agent_running_generation", "Generation of the spec that runs.")
SPEC_FAILURES = Counter(
    "postfleet_agent_spec_failures_total",
    "Specs that could not be applied; stage: validate, render, check, swap, reload, probe, apply.",
    ["stage"],
)
POSTFIX_QUEUE = Gauge(
    "postfleet_agent_postfix_queue",
    "Messages in Postfix's queue: active, deferred, hold.",
    ["queue"],
)
LOG_LINES = Counter("postfleet_agent_log_lines_total", "Lines of Postfix's log that were read.")
LOG_ERRORS = Counter(
    "postfleet_agent_log_errors_total", "Failures to read the log or to understand a line."
)
LOG_GAPS = Counter(
    "postfleet_agent_log_gaps_total", "Times at which lines of the log were lost (truncation)."
)
HALTED = Gauge(
    "postfleet_agent_halted", "1 while nothing is sent because there is no room for Postfix's log."
)
DISK_FREE = Gauge("postfleet_agent_spool_free_bytes", "Free on the file system of the spool.")
SPOOL_COMMITS = Gauge("postfleet_agent_spool_commits", "Transactions of the spool since the start.")
PROBE_HEALTHY = Gauge(
    "postfleet_agent_egress_healthy", "1 where the last probe of the egress was good.", ["egress"]
)
PROBES = Counter(
    "postfleet_agent_probes_total",
    "Probes; stage: ok, tcp, proxy-auth, proxy-request, exit-address; unknown: it says nothing.",
    ["stage"],
)
