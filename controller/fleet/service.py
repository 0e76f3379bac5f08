"""FleetService: the gRPC edge of what operators ask and order.

That the caller is an operator was checked before (`controller.serving.interceptor`); here it is
asked again who, for the audit log. Errors become statuses in `controller.fleet.status`.
"""

# ruff: noqa: N802, ARG002 (names and signatures are gRPC's)

from __future__ import annotations

import asyncio
from collections.abc import Collection
from importlib.metadata import version
from typing import Any, cast

import structlog
from grpc import aio
from postfleet.v1 import fleet_pb2, fleet_pb2_grpc

from controller.fleet import (
    cancel,
    fencing,
    history,
    lists,
    orders,
    resolve,
    shard_orders,
    why,
)
from controller.fleet.answering import answering
from controller.fleet.apply import apply_inventory, plan_inventory
from controller.fleet.egress_move import move_egress
from controller.fleet.plan import Plan
from controller.fleet.rows import FleetRows
from controller.fleet.wanted import wanted_rows
from controller.keys.authority import FleetCa
from controller.keys.identity import Peer, peer_identity
from controller.keys.sealing import Sealer
from controller.shards.snapshot import JOIN_GRACE_S
from controller.store import Store, queries
from inventory.errors import Finding, InventoryError
from inventory.load import Loaded, located, parse
from inventory.rules import unknown_providers
from inventory.secrets import references, wrong_with

_SQL = queries.load("fleet")
_log = structlog.get_logger(__name__)
Context = aio.ServicerContext[Any, Any]


class FleetService(fleet_pb2_grpc.FleetServiceServicer):
    """One for all callers. Method names are those of fleet.proto, which says what each does."""

    def __init__(
        self,
        store: Store,
        ca: FleetCa,
        sealer: Sealer,
        providers: Collection[str],
        join_grace_s: float = JOIN_GRACE_S,
    ) -> None:
        self._store = store
        self._providers = providers
        self._join_grace_s = join_grace_s
        self._ca = ca
        self._sealer = sealer

    @answering
    async def PlanInventory(
        self, request: fleet_pb2.InventoryRequest, context: Context
    ) -> fleet_pb2.InventoryPlan:
        loaded, wanted = await asyncio.to_thread(_wanted, request, self._providers)
        planned = await plan_inventory(self._store, self._sealer, wanted)
        return await asyncio.to_thread(_plan, planned, loaded, applied=False)

    @answering
    async def ApplyInventory(
        self, request: fleet_pb2.InventoryRequest, context: Context
    ) -> fleet_pb2.InventoryPlan:
        loaded, wanted = await asyncio.to_thread(_wanted, request, self._providers)
        done = await apply_inventory(self._store, self._sealer, wanted, _actor(context))
        _log.info("inventory applied", changes=len(done.changes))
        return await asyncio.to_thread(_plan, done, loaded, applied=True)

    @answering
    async def GetFleet(
        self, request: fleet_pb2.GetFleetRequest, context: Context
    ) -> fleet_pb2.FleetSummary:
        async with self._store.transaction() as tx:
            row = await tx.fetch_one(_SQL["summary"])
            counts = await tx.fetch_all(_SQL["message_counts"])
        return fleet_pb2.FleetSummary(
            **row,
            messages={each["state"]: each["messages"] for each in counts},
            messages_deferred=sum(each["deferred"] for each in counts),
            controller_version=version("postfleet"),
        )

    @answering
    async def ListNodes(
        self, request: fleet_pb2.ListRequest, context: Context
    ) -> fleet_pb2.NodeList:
        return await lists.nodes(self._store, request)

    @answering
    async def ListMailboxes(
        self, request: fleet_pb2.ListRequest, context: Context
    ) -> fleet_pb2.MailboxList:
        return await lists.mailboxes(self._store, request)

    @answering
    async def ListEgresses(
        self, request: fleet_pb2.ListRequest, context: Context
    ) -> fleet_pb2.EgressList:
        return await lists.egresses(self._store, request)

    @answering
    async def ListDomains(
        self, request: fleet_pb2.ListRequest, context: Context
    ) -> fleet_pb2.DomainList:
        return await lists.domains(self._store, request)

    @answering
    async def ListDnsRecords(
        self, request: fleet_pb2.ListRequest, context: Context
    ) -> fleet_pb2.DnsRecordList:
        return await lists.dns_records(self._store, request)

    @answering
    async def ListMessages(
        self, request: fleet_pb2.ListMessagesRequest, context: Context
    ) -> fleet_pb2.MessageList:
        return await history.messages(self._store, request)

    @answering
    async def GetMessage(
        self, request: fleet_pb2.GetMessageRequest, context: Context
    ) -> fleet_pb2.MessageDetail:
        return await history.message(self._store, request.id)

    @answering
    async def Why(self, request: fleet_pb2.WhyRequest, context: Context) -> fleet_pb2.WhyReply:
        return await why.explain(self._store, request)

    @answering
    async def ListAudit(
        self, request: fleet_pb2.ListAuditRequest, context: Context
    ) -> fleet_pb2.AuditList:
        return await history.audit(self._store, request)

    @answering
    async def EnrolNode(
        self, request: fleet_pb2.EnrolNodeRequest, context: Context
    ) -> fleet_pb2.EnrolNodeReply:
        return await orders.enrol_node(self._store, self._ca, request, _actor(context))

    @answering
    async def SetNodeCordon(
        self, request: fleet_pb2.SetNodeCordonRequest, context: Context
    ) -> fleet_pb2.Node:
        return await orders.set_cordon(self._store, request, _actor(context))

    @answering
    async def FenceNode(
        self, request: fleet_pb2.FenceNodeRequest, context: Context
    ) -> fleet_pb2.FenceNodeReply:
        return await fencing.fence(self._store, request, _actor(context))

    @answering
    async def DrainNode(
        self, request: fleet_pb2.DrainNodeRequest, context: Context
    ) -> fleet_pb2.ShardPlan:
        actor = _actor(context)
        return await shard_orders.drain(self._store, request, actor, self._join_grace_s)

    @answering
    async def PlanShards(
        self, request: fleet_pb2.PlanShardsRequest, context: Context
    ) -> fleet_pb2.ShardPlan:
        return await shard_orders.plan(self._store, self._join_grace_s)

    @answering
    async def RebalanceShards(
        self, request: fleet_pb2.RebalanceShardsRequest, context: Context
    ) -> fleet_pb2.ShardPlan:
        actor = _actor(context)
        return await shard_orders.rebalance(self._store, request, actor, self._join_grace_s)

    @answering
    async def MoveEgress(
        self, request: fleet_pb2.MoveEgressRequest, context: Context
    ) -> fleet_pb2.MoveEgressReply:
        return await move_egress(self._store, request, _actor(context), self._join_grace_s)

    @answering
    async def ListShardMoves(
        self, request: fleet_pb2.ListShardMovesRequest, context: Context
    ) -> fleet_pb2.ShardMoves:
        return await shard_orders.moves(self._store)

    @answering
    async def GetCapacity(
        self, request: fleet_pb2.GetCapacityRequest, context: Context
    ) -> fleet_pb2.CapacityReport:
        return await shard_orders.capacity(self._store, self._join_grace_s)

    @answering
    async def DecommissionNode(
        self, request: fleet_pb2.DecommissionNodeRequest, context: Context
    ) -> fleet_pb2.Node:
        return await orders.decommission(self._store, request, _actor(context), self._join_grace_s)

    @answering
    async def ResolveMessage(
        self, request: fleet_pb2.ResolveMessageRequest, context: Context
    ) -> fleet_pb2.ResolveMessageReply:
        return await resolve.resolve(self._store, request, _actor(context))

    @answering
    async def SetSuspension(
        self, request: fleet_pb2.SetSuspensionRequest, context: Context
    ) -> fleet_pb2.SetSuspensionReply:
        return await orders.set_suspension(self._store, request, _actor(context))

    @answering
    async def CancelMessages(
        self, request: fleet_pb2.CancelMessagesRequest, context: Context
    ) -> fleet_pb2.CancelMessagesReply:
        return await cancel.cancel_messages(self._store, request, _actor(context))


def _actor(context: Context) -> str:
    return peer_identity(cast("Peer", context)).actor


def _wanted(
    request: fleet_pb2.InventoryRequest, providers: Collection[str]
) -> tuple[Loaded, FleetRows]:
    """The inventory, checked again: the caller may be any program. Raises InventoryError."""
    loaded = parse(request.yaml, "inventory")
    secrets = dict(request.secrets)
    wrong: list[Finding] = list(unknown_providers(loaded.inventory, providers))
    for use in references(loaded.inventory):
        if use.reference not in secrets:
            wrong.append(Finding(use.path, use.reference, "its secret did not come with it"))
        elif problem := wrong_with(use, secrets[use.reference]):
            wrong.append(Finding(use.path, use.reference, problem))
    if wrong:
        raise InventoryError(located(loaded.text, loaded.file, wrong))
    return loaded, wanted_rows(loaded.inventory, secrets)


def _plan(planned: Plan, loaded: Loaded, applied: bool) -> fleet_pb2.InventoryPlan:
    return fleet_pb2.InventoryPlan(
        changes=[
            fleet_pb2.InventoryChange(
                action=each.action, kind=each.kind, id=each.id, details=each.details
            )
            for each in planned.changes
        ],
        applied=applied,
        refusals=planned.refusals,
        warnings=[str(problem) for problem in loaded.warnings],
    )
