"""Grants: what a node may use, as an answer to a heartbeat.

Each heartbeat renews the lease and is granted exactly what the node holds in its term. What changes
between two heartbeats is told as another answer to the last one.

All nodes' heartbeats of a moment are renewed in one transaction, over connections that nothing else
uses: no report, plan or operator stands before a lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postfleet.v1 import node_pb2

from controller.desired.current import CurrentFleet
from controller.leases.grants import Grant, Holder, renew, widen
from controller.leases.timing import LeaseTiming
from controller.sessions.session import NodeSession
from controller.store import Gatherer, Store, Transaction, queries

_SQL = queries.load("sessions")
MOST_AT_ONCE = 500
# Where there is more to do than that, a heartbeat waits so long for others.
GATHER_S = 0.02


@dataclass(frozen=True)
class _Beat:
    """A heartbeat and who sent it."""

    holder: Holder
    load: node_pb2.NodeLoad


class Heartbeats:
    """Answers those of all sessions of this process. `store`: a pool of its own."""

    def __init__(self, store: Store, current: CurrentFleet) -> None:
        self._store = store
        self._current = current
        self._renewals = Gatherer(self._renew, most=MOST_AT_ONCE, every_s=GATHER_S)

    async def answer(self, session: NodeSession, heartbeat: node_pb2.Heartbeat) -> bool:
        """Renews and puts the grant into the outbox; False where there is nothing to grant.

        Nothing is granted when another session speaks for the node, its certificate was replaced
        (the pusher ends such sessions), or another machine's term is not over yet.
        """
        done = await self._renewals.do(_Beat(session.holder, heartbeat.load))
        session.spooled = heartbeat.load.spooled
        if done is None:
            return False
        grant, timing = done
        session.answered_heartbeat = heartbeat.seq, timing, grant.at
        _put_grant(session, heartbeat.seq, grant, timing)
        return True

    async def close(self) -> None:
        """Answers no more."""
        await self._renewals.close()

    async def _renew(self, beats: Sequence[_Beat]) -> list[tuple[Grant, LeaseTiming] | None]:
        timing = self._current.timing

        async def work(tx: Transaction) -> list[tuple[Grant, LeaseTiming] | None]:
            grants = await renew(tx, [beat.holder for beat in beats], timing)
            each = [grants.get(beat.holder.session_id) for beat in beats]
            await _seen(tx, [b for b, grant in zip(beats, each, strict=True) if grant is not None])
            return [None if grant is None else (grant, timing) for grant in each]

        return await self._store.run(work)


async def _seen(tx: Transaction, beats: Sequence[_Beat]) -> None:
    if beats:
        await tx.execute(
            _SQL["seen"],
            node_ids=[beat.holder.node_id for beat in beats],
            spooled=[beat.load.spooled for beat in beats],
            queued=[beat.load.queued for beat in beats],
            deferred=[beat.load.deferred for beat in beats],
            disk_free_bytes=[beat.load.disk_free_bytes for beat in beats],
            open_connections=[beat.load.open_connections for beat in beats],
        )


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
