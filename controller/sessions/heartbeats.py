"""Grants: what a node may use, as an answer to a heartbeat.

Each heartbeat renews the lease and is granted exactly what the node holds in its term. What changes
between two heartbeats is told as another answer to the last one.
"""

from __future__ import annotations

from postfleet.v1 import node_pb2

from controller.leases.grants import Grant, renew, widen
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
    session.answered_heartbeat = heartbeat.seq, timing, grant.at
    _put_grant(session, heartbeat.seq, grant, timing)
    return True


async def grant_more(store: Store, session: NodeSession) -> bool:
    """Answers the last heartbeat again, with what was assigned since; False: nothing to answer.

    With the durations of the first answer: a later one must not lengthen the trust it gave.
    """
    if session.answered_heartbeat is None:
        return False
    seq, timing, at = session.answered_heartbeat
    grant = await store.run(lambda tx: widen(tx, session.holder, at))
    if grant is None:
        return False
    _put_grant(session, seq, grant, timing)
    return True


def take_all_away(session: NodeSession, epoch: int) -> None:
    """Tells a node whose term was ended, at `epoch` now, that it holds nothing: it cuts at once.

    A node that is off, as was attested, does not hear it; one that is not must not go on sending
    until its trust runs out by itself.
    """
    if session.answered_heartbeat is not None and session.granted_epoch < epoch:
        seq, timing, at = session.answered_heartbeat
        _put_grant(session, seq, Grant(epoch, (), at), timing)


def _put_grant(session: NodeSession, seq: int, grant: Grant, timing: LeaseTiming) -> None:
    session.granted_epoch = grant.epoch
    message = node_pb2.LeaseGrant(
        heartbeat_seq=seq,
        epoch=grant.epoch,
        ttl_ms=timing.ttl_ms,
        margin_ms=timing.margin_ms,
        egress_ids=grant.egress_ids,
    )
    message.at.FromDatetime(grant.at)
    session.outbox.put(node_pb2.ControllerMessage(lease_grant=message))
