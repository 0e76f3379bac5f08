"""CampaignService: the gRPC edge of campaigns. Callers are operators."""
# ruff: noqa: N802, ARG002 (names and signatures are gRPC's)

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

from grpc import aio
from postfleet.v1 import campaign_pb2, campaign_pb2_grpc

from controller.campaigns.define import define
from controller.campaigns.reached import recipients
from controller.campaigns.settings import settings_of
from controller.campaigns.status import shown, status, without_counts
from controller.campaigns.steer import steer
from controller.campaigns.take import Target, take, target
from controller.fleet.answering import answering
from controller.fleet.ordering import reason_given, run_order
from controller.fleet.pages import clean, page_size
from controller.fleet.status import KNOWN, status_of
from controller.keys.identity import Peer, peer_identity
from controller.store import Store, Transaction

Context = aio.ServicerContext[Any, Any]


class CampaignService(campaign_pb2_grpc.CampaignServiceServicer):
    """One for all callers. Method names are those of campaign.proto."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @answering
    async def DefineCampaign(
        self, request: campaign_pb2.DefineCampaignRequest, context: Context
    ) -> campaign_pb2.DefineCampaignReply:
        settings, actor = settings_of(request.settings), _actor(context)

        async def work(tx: Transaction) -> campaign_pb2.DefineCampaignReply:
            return await define(tx, settings, actor)

        return await run_order(self._store, work, request.dry_run)

    async def ImportRecipients(
        self,
        request_iterator: AsyncIterator[campaign_pb2.ImportRecipientsRequest],
        context: Context,
    ) -> AsyncIterator[campaign_pb2.ImportRecipientsReply]:
        """See campaign.proto."""
        to: Target | None = None
        try:
            async for request in request_iterator:
                campaign_id = clean(request.campaign_id, "campaign_id")
                if to is None or to.settings.id != campaign_id:
                    to = await target(self._store, campaign_id)
                yield await take(self._store, to, request.recipients)
        except KNOWN as error:
            await context.abort_with_status(status_of(error))

    @answering
    async def SetCampaignState(
        self, request: campaign_pb2.SetCampaignStateRequest, context: Context
    ) -> campaign_pb2.CampaignStatus:
        actor, reason = _actor(context), reason_given(request.reason)
        id_ = clean(request.id, "id")

        async def work(tx: Transaction) -> campaign_pb2.CampaignStatus:
            await steer(tx, id_, request.action, reason, actor)
            return await status(tx, id_)

        return await run_order(self._store, work, request.dry_run)

    @answering
    async def GetCampaign(
        self, request: campaign_pb2.GetCampaignRequest, context: Context
    ) -> campaign_pb2.CampaignStatus:
        async with self._store.transaction() as tx:
            return await status(tx, clean(request.id, "id"))

    @answering
    async def ListCampaigns(
        self, request: campaign_pb2.ListCampaignsRequest, context: Context
    ) -> campaign_pb2.CampaignList:
        size = page_size(request.page_size)
        async with self._store.transaction() as tx:
            rows = await shown(
                tx,
                after=clean(request.page_token, "page_token"),
                client_id=clean(request.client_id, "client_id"),
                filter_=clean(request.filter, "filter"),
                limit=size + 1,
            )
        token = rows[size - 1]["id"] if len(rows) > size else ""
        campaigns = [without_counts(row) for row in rows[:size]]
        return campaign_pb2.CampaignList(campaigns=campaigns, next_page_token=token)

    @answering
    async def ListRecipients(
        self, request: campaign_pb2.ListRecipientsRequest, context: Context
    ) -> campaign_pb2.RecipientList:
        async with self._store.transaction() as tx:
            return await recipients(tx, request)


def _actor(context: Context) -> str:
    return peer_identity(cast("Peer", context)).actor
