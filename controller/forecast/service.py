"""ForecastService: the gRPC edge of forecasts. Callers are operators."""
# ruff: noqa: N802 (names and signatures are gRPC's)

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Any, cast

from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio
from postfleet.v1 import forecast_pb2, forecast_pb2_grpc

from controller.campaigns.settings import settings_of
from controller.fleet.answering import answering
from controller.fleet.errors import BadRequestError
from controller.fleet.ordering import run_order
from controller.fleet.pages import clean
from controller.forecast.causes import CLOSED, change_of
from controller.forecast.draft import read_draft
from controller.forecast.read import Known, read
from controller.forecast.run import Forecast, foresee
from controller.forecast.situation import Situation
from controller.keys.identity import Peer, peer_identity
from controller.providers.table import UNKNOWN
from controller.store import Store, Transaction

_DAYS, _MOST_DAYS = 120, 366
Context = aio.ServicerContext[Any, Any]


class ForecastService(forecast_pb2_grpc.ForecastServiceServicer):
    """One for all callers. Method names are those of forecast.proto."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @answering
    async def ForecastCampaign(
        self, request: forecast_pb2.ForecastCampaignRequest, context: Context
    ) -> forecast_pb2.CampaignForecast:
        days = request.days or _DAYS
        if days > _MOST_DAYS:
            raise BadRequestError(f"days: {days:,}; 1 to {_MOST_DAYS}")
        known = await self._known(request, cast("Peer", context))
        # Seconds of work, while heartbeats want their answers.
        forecast = await asyncio.to_thread(foresee, known.situation, days)
        return told(known, forecast)

    async def _known(self, request: forecast_pb2.ForecastCampaignRequest, peer: Peer) -> Known:
        if not request.HasField("draft"):
            id_ = clean(request.id, "id")
            return await self._store.run(lambda tx: read(tx, id_))
        if request.id:
            raise BadRequestError("id: a draft is foreseen, or a campaign of that id")
        settings, actor = settings_of(request.draft.settings), peer_identity(peer).actor

        async def look(tx: Transaction) -> Known:
            return await read_draft(tx, settings, request.draft.recipients, actor)

        return await run_order(self._store, look, dry_run=True)


def told(known: Known, forecast: Forecast) -> forecast_pb2.CampaignForecast:
    """What is answered."""
    of = known.situation
    reply = forecast_pb2.CampaignForecast(
        id=of.campaign,
        state=known.state,
        under_way=known.under_way,
        left=forecast.left,
        until=_stamp(forecast.until or of.now),
        time_zone=of.zone.key,
    )
    if forecast.finished and not forecast.left:
        reply.finishes_at.CopyFrom(_stamp(max(forecast.finished.values())))
    for day in sorted({day for day, _ in forecast.days}):
        first = forecast.days[day, 0]
        later = sum(n for (each, step), n in forecast.days.items() if each == day and step)
        reply.days.add(date=day.isoformat(), first_messages=first, follow_ups=later)
    steps: Counter[int] = Counter()
    for (_, step), count in forecast.days.items():
        steps[step] += count
    for step in sorted(steps):
        at = _stamp(forecast.finished[step])
        reply.steps.add(step=step, messages=steps[step], finishes_at=at)
    hours = sum(forecast.causes.values())
    # That nights are long is the last thing anybody wants to read.
    for what, count in sorted(
        forecast.causes.items(), key=lambda each: (each[0] in CLOSED, -each[1])
    ):
        reply.limits.add(what=what, percent=100 * count / hours, change=change_of(what))
    reply.refused = known.refused
    reply.provider_unknown = sum(
        heap.count
        for heap in of.heaps
        if heap.campaign == of.campaign and not heap.step and heap.provider == UNKNOWN
    )
    reply.mailboxes_able, reply.mailboxes = _pool(of)
    return reply


def _pool(of: Situation) -> tuple[int, int]:
    lanes = list(of.plans[of.campaign].first.values()) if of.campaign in of.plans else []
    pool = [each for each in of.mailboxes if any(lane.admits(each.box.sender) for lane in lanes)]
    return sum(each.since is not None for each in pool), len(pool)


def _stamp(instant: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(instant.astimezone(UTC))
    return stamp
