"""What operators order of nodes and suspensions. Each is one transaction with its audit entry.

An order that finds everything as it should be changes nothing and writes no entry.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from postfleet.v1 import fleet_pb2

from controller.audit import write_audit
from controller.fleet.errors import BadRequestError, NotFoundError, RefusedError
from controller.fleet.ordering import lock_node, node_now, reason_given, run_order
from controller.fleet.pages import clean
from controller.keys.authority import FleetCa
from controller.keys.enrolment import sign_node_request
from controller.leases.watcher import fence_node
from controller.shards.drain import foresee_drain, refusals
from controller.shards.read import LOCK, read_fleet_now
from controller.store import Store, Transaction, queries

_SQL = queries.load("fleet")
_UNREACHABLE = queries.load("unreachable")
_SCOPES = ("egress", "mailbox", "domain", "client")


async def enrol_node(
    store: Store, ca: FleetCa, request: fleet_pb2.EnrolNodeRequest, actor: str
) -> fleet_pb2.EnrolNodeReply:
    """Signs a node's request; the earlier certificate is not in force any more.

    Who asks for one has a machine that is new or installed anew, maybe in another network: which
    proxies the earlier one could not reach says nothing of it, and its marks end (decision 25).

    Raises NotFoundError, RefusedError, RefusedRequestError.
    """

    async def work(tx: Transaction) -> fleet_pb2.EnrolNodeReply:
        node = await lock_node(tx, request.node_id)
        if node["decommissioned"]:
            raise RefusedError([
                f"node {request.node_id} is decommissioned and gets no certificate. To use the "
                "machine again, take the node out of the inventory, apply, and add it again"
            ])  # fmt: skip
        issued = sign_node_request(ca, request.node_id, request.csr_pem)
        digest = issued.certificate_sha256
        await tx.execute(_SQL["enrol"], node_id=request.node_id, certificate_sha256=digest)
        lifted = await tx.fetch_all(_UNREACHABLE["lift_of_node"], node_id=request.node_id)
        await write_audit(
            tx,
            actor=actor,
            action="enrol-node",
            subject=f"node/{request.node_id}",
            evidence={"certificate_sha256": digest.hex()}
            | ({"was_fenced": True} if node["fenced"] else {})
            | ({"in_reach_again": sorted(row["egress_id"] for row in lifted)} if lifted else {}),
        )
        return fleet_pb2.EnrolNodeReply(
            certificate_pem=issued.certificate_pem.decode(), ca_pem=ca.pem.decode()
        )

    return await store.run(work)


async def set_cordon(
    store: Store, request: fleet_pb2.SetNodeCordonRequest, actor: str
) -> fleet_pb2.Node:
    """Closes a node for new egresses, or opens it, a fenced one too.

    Raises NotFoundError, RefusedError.
    """

    async def work(tx: Transaction) -> fleet_pb2.Node:
        node = await lock_node(tx, request.node_id)
        if node["decommissioned"] and not request.cordoned:
            raise RefusedError([
                f"node {request.node_id} is decommissioned and stays closed. To use the machine "
                "again, take the node out of the inventory, apply, and add it again"
            ])  # fmt: skip
        cordoned = request.cordoned
        opens_fenced = node["fenced"] and not cordoned
        if node["cordoned"] != cordoned or opens_fenced:
            await tx.execute(_SQL["set_cordoned"], node_id=request.node_id, cordoned=cordoned)
            await write_audit(
                tx,
                actor=actor,
                action="cordon-node" if cordoned else "uncordon-node",
                subject=f"node/{request.node_id}",
                evidence={"was_fenced": True} if opens_fenced else {},
            )
        return await node_now(tx, request.node_id)

    return await run_order(store, work, request.dry_run)


async def decommission(
    store: Store, request: fleet_pb2.DecommissionNodeRequest, actor: str, join_grace_s: float
) -> fleet_pb2.Node:
    """Takes a node out of service: it gives everything back, or, `fenced`, has lost it already.

    What a drain would be refused for, this is too; not so when it is off and sends nothing.
    Raises NotFoundError, BadRequestError, RefusedError.
    """
    reason = reason_given(request.reason)

    async def work(tx: Transaction) -> fleet_pb2.Node:
        await tx.lock(LOCK)
        node = await lock_node(tx, request.node_id)
        if not node["decommissioned"]:
            if not request.fenced:
                await _refuse_if_missed(tx, request, join_grace_s)
            await tx.execute(_SQL["decommission"], node_id=request.node_id)
            await write_audit(
                tx,
                actor=actor,
                action="decommission-node",
                subject=f"node/{request.node_id}",
                reason=reason,
                evidence={"fenced": request.fenced},
            )
        if request.fenced:
            attested = f"attested to be off: {reason}" if reason else "attested to be off"
            await fence_node(tx, request.node_id, actor, attested)
            await tx.execute(_SQL["revoke_certificate"], node_id=request.node_id)
        return await node_now(tx, request.node_id)

    return await run_order(store, work, request.dry_run)


async def _refuse_if_missed(
    tx: Transaction, request: fleet_pb2.DecommissionNodeRequest, join_grace_s: float
) -> None:
    fleet = await read_fleet_now(tx)
    foreseen = await asyncio.to_thread(foresee_drain, fleet, request.node_id, join_grace_s)
    if reasons := refusals(foreseen, request.node_id, force=request.force, order="decommission"):
        raise RefusedError(reasons)


async def set_suspension(
    store: Store, request: fleet_pb2.SetSuspensionRequest, actor: str
) -> fleet_pb2.SetSuspensionReply:
    """Stops something, or lifts what an operator stopped. Raises NotFoundError, BadRequestError."""
    subject = clean(request.subject, "subject")
    if request.scope not in _SCOPES:
        raise BadRequestError(f"scope: {request.scope!r}; there are {', '.join(_SCOPES)}")
    reason, until = reason_given(request.reason), _until(request)
    if request.suspended and not reason:
        raise BadRequestError("reason: a suspension needs one; it is what others will read")

    async def work(tx: Transaction) -> fleet_pb2.SetSuspensionReply:
        if not await tx.fetch_value(_SQL["subject_exists"], scope=request.scope, id=subject):
            raise NotFoundError(f"there is no {request.scope} {subject!r} in the fleet")
        named = {"scope": request.scope, "subject": subject}
        if request.suspended:
            changed = await tx.fetch_optional(_SQL["suspend"], **named, reason=reason, until=until)
        else:
            changed = await tx.fetch_optional(_SQL["release"], **named)
        if changed:
            await write_audit(
                tx,
                actor=actor,
                action=f"{'suspend' if request.suspended else 'release'}-{request.scope}",
                subject=f"{request.scope}/{subject}",
                reason=reason,
                evidence={"until": until.isoformat()} if until else {},
            )
        others = await tx.fetch_all(_SQL["others_suspensions"], **named)
        return fleet_pb2.SetSuspensionReply(
            changed=changed is not None,
            remaining=[
                ": ".join(filter(None, (row["source"], row["stage"], row["reason"])))
                for row in others
            ],
        )

    return await run_order(store, work, request.dry_run)


def _until(request: fleet_pb2.SetSuspensionRequest) -> datetime | None:
    if not request.HasField("until"):
        return None
    try:
        until = request.until.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise BadRequestError("until: not a time") from None
    if until <= datetime.now(UTC):
        raise BadRequestError(f"until: {until.isoformat()} is not in the future")
    return until
