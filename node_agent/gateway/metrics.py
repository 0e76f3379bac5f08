"""The gateway's Prometheus metrics, served by a thread of its own.

Labels are bounded: `egress` by the node's configuration (tens), `stage` by admission.Stage,
`direction` by two. Nothing here is touched while a connection is served: the numbers are read from
the tally when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from node_agent.gateway.clock import boottime_ns
from node_agent.gateway.gate import Gate
from node_agent.gateway.tally import CONNECT_BUCKETS_S
from node_agent.gateway.version import version

DEFAULT_PORT = 9602


class GateCollector(Collector):
    """Reads one gate. Called from the metrics thread."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of the gateway."""
        yield from self._egresses()
        yield from self._whole()
        yield from self._lease()

    def _egresses(self) -> Iterator[Metric]:
        connected = CounterMetricFamily(
            "postfleet_gateway_connections",
            "Connections made, by egress",
            labels=["egress"],
        )
        refused = CounterMetricFamily(
            "postfleet_gateway_egress_refusals",
            "Connections of Postfix answered 421 by the gateway, by egress",
            labels=["egress"],
        )
        for egress_id, tally in list(self._gate.tally.egresses.items()):
            connected.add_metric([egress_id], tally.connected)
            refused.add_metric([egress_id], tally.refused)
        yield connected
        yield refused
        open_now = GaugeMetricFamily(
            "postfleet_gateway_open_connections",
            "SMTP connections open through the gateway, by egress",
            labels=["egress"],
        )
        for egress_id, count in self._gate.open_connections().items():
            open_now.add_metric([egress_id], count)
        yield open_now

    def _whole(self) -> Iterator[Metric]:
        tally = self._gate.tally
        refusals = CounterMetricFamily(
            "postfleet_gateway_refusals",
            "Connections of Postfix answered 421 by the gateway, by the stage that failed",
            labels=["stage"],
        )
        for stage, count in tally.refused.items():
            refusals.add_metric([stage], count)
        yield refusals
        octets = CounterMetricFamily(
            "postfleet_gateway_bytes",
            "Octets carried; out: towards receivers",
            labels=["direction"],
        )
        octets.add_metric(["out"], tally.octets_out)
        octets.add_metric(["in"], tally.octets_in)
        yield octets
        yield CounterMetricFamily(
            "postfleet_gateway_connections_cut",
            "Connections cut because the lease ended or does not name their egress any more",
            value=tally.cut,
        )
        yield self._connect_seconds()

    def _connect_seconds(self) -> Metric:
        tally = self._gate.tally
        cumulative, total = [], 0
        for bound, count in zip([*CONNECT_BUCKETS_S, None], tally.connect_buckets, strict=True):
            total += count
            cumulative.append(("+Inf" if bound is None else str(float(bound)), float(total)))
        family = HistogramMetricFamily(
            "postfleet_gateway_connect_seconds",
            "Time from accepting a connection of Postfix to its way out being open",
        )
        family.add_metric([], cumulative, tally.connect_seconds)
        return family

    def _lease(self) -> Iterator[Metric]:
        lease = self._gate.rules.lease
        left_ns = max(0, lease.trusted_until_ns - boottime_ns())
        yield GaugeMetricFamily(
            "postfleet_gateway_lease_seconds",
            "For how long the gateway may still open connections; 0: it holds no lease",
            value=left_ns / 1e9,
        )
        yield GaugeMetricFamily(
            "postfleet_gateway_lease_epoch", "Epoch of the lease held last", value=lease.epoch
        )
        yield GaugeMetricFamily(
            "postfleet_gateway_config_generation",
            "Generation of the configuration in force",
            value=self._gate.rules.config.generation,
        )
        yield CounterMetricFamily(
            "postfleet_gateway_reloads_failed",
            "Configurations that could not be read; the one before stayed in force",
            value=self._gate.tally.reloads_failed,
        )
        info = GaugeMetricFamily(
            "postfleet_gateway_info", "Always 1; tells the version", labels=["version"]
        )
        info.add_metric([version()], 1)
        yield info


def serve(gate: Gate, host: str, port: int) -> None:
    """Serve the metrics over HTTP from a daemon thread. Raises OSError when it cannot listen."""
    registry = CollectorRegistry()
    registry.register(GateCollector(gate))
    start_http_server(port, host, registry)
