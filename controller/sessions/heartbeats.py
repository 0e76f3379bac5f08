"""Answers heartbeats: renews the lease, then grants exactly what the node holds in its term."""

from __future__ import annotations

from postfleet.v1 import node_pb2

from controller.leases.grants import Grant, renew
from controller.leases.timing import LeaseTiming
from controller.sessions.session import NodeSession
from controller.store import Store, Transaction, queries

_SQL = queries.load("sessions")


async def answer_heartbeat(
    store: Store, session: NodeSession, heartbeat: node_pb2.Heartbeat, timing: LeaseTiming
) -> bool:
    """Renews and puts the grant into the outbox; False where there is nothing to grant.

    Nothing is granted when another session speaks for the node, its certificate was replaced (the
    pusher ends such sessions), or another machine's term is not over yet.
    """
    load = heartbeat.load

    async def work(tx: Transaction) -> Grant | None:
        grant = await renew(tx, session.holder, timing)
        if grant is not None:
            await tx.execute(
                _SQL["seen"],
                node_id=session.node_id,
                spooled=load.spooled,
                queued=load.queued,
                deferred=load.deferred,
                disk_free_bytes=load.disk_free_bytes,
                open_connections=load.open_connections,
            )
        return grant

    grant = await store.run(work)
    session.spooled = load.spooled
    if grant is None:
        return False
    session.outbox.put(
        node_pb2.ControllerMessage(
            lease_grant=node_pb2.LeaseGrant(
                heartbeat_seq=heartbeat.seq,
                epoch=grant.epoch,
                ttl_ms=timing.ttl_ms,
                margin_ms=timing.margin_ms,
                egress_ids=grant.egress_ids,
            )
        )
    )
    return True
