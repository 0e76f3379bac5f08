"""Which kinds of callers may call which service: this table and nothing else.

A service that is not named here is open to nobody. What a caller may do *within* a service (a
client submits for itself only; a node opens its own session only) is checked there.
"""

from __future__ import annotations

from controller.keys.identity import Identity, Kind

_ANYBODY = frozenset(Kind)

ALLOWED: dict[str, frozenset[Kind]] = {
    "postfleet.v1.NodeService": frozenset({Kind.NODE}),
    "postfleet.v1.FleetService": frozenset({Kind.OPERATOR}),
    "postfleet.v1.SubmissionService": frozenset({Kind.OPERATOR, Kind.CLIENT}),
    "postfleet.v1.SuppressionService": frozenset({Kind.OPERATOR, Kind.CLIENT}),
    "postfleet.v1.HealthService": frozenset({Kind.OPERATOR}),
    "postfleet.v1.FeedbackService": frozenset({Kind.OPERATOR, Kind.CLIENT}),
    "postfleet.v1.CampaignService": frozenset({Kind.OPERATOR}),
    "postfleet.v1.ForecastService": frozenset({Kind.OPERATOR}),
    "postfleet.v1.ShapingService": frozenset({Kind.OPERATOR}),
    "grpc.health.v1.Health": _ANYBODY,
    "grpc.reflection.v1alpha.ServerReflection": _ANYBODY,
    "grpc.reflection.v1.ServerReflection": _ANYBODY,
}


def is_allowed(identity: Identity, method: str) -> bool:
    """`method` as gRPC writes it: /package.Service/Method."""
    service = method.strip("/").partition("/")[0]
    return identity.kind in ALLOWED.get(service, frozenset())
