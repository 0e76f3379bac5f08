"""Counts of what the gateway did since its process started. Plain numbers: the control socket and
the metrics read them, nothing decides by them."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field

from node_agent.gateway.admission import Stage

# Upper bounds in seconds of the histogram of connect times.
CONNECT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@dataclass(slots=True)
class EgressTally:
    """One egress."""

    connected: int = 0
    refused: int = 0
    # Local part of the last probe message that arrived.
    last_probe: str = ""


@dataclass
class Tally:
    """The whole gateway."""

    egresses: defaultdict[str, EgressTally] = field(
        default_factory=lambda: defaultdict(EgressTally)
    )
    refused: dict[Stage, int] = field(default_factory=lambda: dict.fromkeys(Stage, 0))
    octets_out: int = 0
    octets_in: int = 0
    # Connections cut because the lease was over or did not name their egress any more.
    cut: int = 0
    reloads_failed: int = 0
    # Connections by connect time: one count per bucket and one above all of them.
    connect_buckets: list[int] = field(default_factory=lambda: [0] * (len(CONNECT_BUCKETS_S) + 1))
    connect_seconds: float = 0.0

    def connected(self, egress_id: str, seconds: float) -> None:
        """Count a connection, made in `seconds` since it was accepted from Postfix."""
        self.egresses[egress_id].connected += 1
        self.connect_buckets[bisect_left(CONNECT_BUCKETS_S, seconds)] += 1
        self.connect_seconds += seconds

    def refusal(self, egress_id: str, stage: Stage) -> None:
        """Count a refusal; "-" is no egress's and shows under its stage only."""
        self.refused[stage] += 1
        if egress_id != "-":
            self.egresses[egress_id].refused += 1
