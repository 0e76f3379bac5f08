"""The services a controller offers, each with how it is registered."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from postfleet.v1 import (
    campaign_pb2_grpc,
    feedback_pb2_grpc,
    fleet_pb2_grpc,
    forecast_pb2_grpc,
    health_pb2_grpc,
    node_pb2_grpc,
    shaping_pb2_grpc,
    submission_pb2_grpc,
    suppression_pb2_grpc,
)

from controller.campaigns.service import CampaignService
from controller.desired.current import CurrentFleet
from controller.events.recorder import Recorder
from controller.feedback.service import FeedbackService
from controller.fleet.service import FleetService
from controller.forecast.service import ForecastService
from controller.intake.service import SubmissionService
from controller.keys.authority import FleetCa
from controller.keys.sealing import Sealer
from controller.pairs.service import ShapingService
from controller.serving.rpc import Register
from controller.sessions.heartbeats import Heartbeats
from controller.sessions.pusher import Pusher
from controller.sessions.registry import Registry
from controller.sessions.service import NodeService
from controller.store import Store
from controller.suppression.service import SuppressionService
from controller.verdicts.service import HealthService


def services(
    store: Store,
    ca: FleetCa,
    sealer: Sealer,
    current: CurrentFleet,
    registry: Registry,
    pusher: Pusher,
    recorder: Recorder,
    heartbeats: Heartbeats,
    join_grace_s: float,
    providers: Collection[str],
) -> Sequence[tuple[str, Register]]:
    """Full names of the services and what registers each with a server. `providers`: names that an
    inventory may use."""
    node = NodeService(store, current, registry, pusher, recorder, heartbeats)
    fleet = FleetService(store, ca, sealer, providers, join_grace_s)
    submission = SubmissionService(store)
    suppression = SuppressionService(store)
    shaping = ShapingService(store)
    campaign = CampaignService(store)
    forecast = ForecastService(store)
    feedback = FeedbackService(store)
    health = HealthService(store)
    return [
        (
            "postfleet.v1.NodeService",
            lambda server: node_pb2_grpc.add_NodeServiceServicer_to_server(node, server),
        ),
        (
            "postfleet.v1.FleetService",
            lambda server: fleet_pb2_grpc.add_FleetServiceServicer_to_server(fleet, server),
        ),
        (
            "postfleet.v1.SubmissionService",
            lambda server: submission_pb2_grpc.add_SubmissionServiceServicer_to_server(
                submission, server
            ),
        ),
        (
            "postfleet.v1.SuppressionService",
            lambda server: suppression_pb2_grpc.add_SuppressionServiceServicer_to_server(
                suppression, server
            ),
        ),
        (
            "postfleet.v1.CampaignService",
            lambda server: campaign_pb2_grpc.add_CampaignServiceServicer_to_server(
                campaign, server
            ),
        ),
        (
            "postfleet.v1.ForecastService",
            lambda server: forecast_pb2_grpc.add_ForecastServiceServicer_to_server(
                forecast, server
            ),
        ),
        (
            "postfleet.v1.ShapingService",
            lambda server: shaping_pb2_grpc.add_ShapingServiceServicer_to_server(shaping, server),
        ),
        (
            "postfleet.v1.FeedbackService",
            lambda server: feedback_pb2_grpc.add_FeedbackServiceServicer_to_server(
                feedback, server
            ),
        ),
        (
            "postfleet.v1.HealthService",
            lambda server: health_pb2_grpc.add_HealthServiceServicer_to_server(health, server),
        ),
    ]
