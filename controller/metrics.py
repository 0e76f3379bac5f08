"""The registry of the controller's metrics. Each metric is declared next to the code it counts."""

from __future__ import annotations

import prometheus_client

REGISTRY = prometheus_client.REGISTRY
