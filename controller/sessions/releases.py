"""Planned release: asks a node for egresses and frees those it gave back with nothing open."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from postfleet.v1 import node_pb2

from controller.audit import write_audit
from controller.sessions.session import NodeSession
from controller.store import Store, Transaction, queries

_SQL = queries.load("releases")
_log = structlog.get_logger(__name__)
# An egress that was not given back is asked for again.
ASK_AGAIN_S = 10.0


def ask_back(session: NodeSession, egress_ids: Sequence[str], epoch: int, now_s: float) -> None:
    """Puts a Release into the outbox for those that were not asked for lately in this term."""
    due = [
        egress_id
        for egress_id in egress_ids
        if (asked := session.releases_asked.get(egress_id)) is None
        or asked[0] != epoch
        or now_s - asked[1] >= ASK_AGAIN_S
    ]
    if not due:
        return
    for egress_id in due:
        session.releases_asked[egress_id] = (epoch, now_s)
    session.outbox.put(
        node_pb2.ControllerMessage(release=node_pb2.Release(egress_ids=due, epoch=epoch))
    )


async def record_release(
    store: Store, session: NodeSession, result: node_pb2.ReleaseResult
) -> bool:
    """Frees the egress; True where it did. A result of another term changes nothing."""
    if not result.released:
        _log.info("not released", node=session.node_id, egress=result.egress_id, why=result.detail)
        return False
    row = {"egress_id": result.egress_id, "node_id": session.node_id, "epoch": result.epoch}

    async def work(tx: Transaction) -> bool:
        freed = await tx.fetch_optional(_SQL["released"], **row)
        if freed is None:
            return False
        await tx.execute(_SQL["remember_release"], **row)
        await tx.execute(_SQL["raise_generation"], node_ids=[session.node_id])
        await write_audit(
            tx,
            actor=session.identity.actor,
            action="release-egress-lease",
            subject=f"egress/{result.egress_id}",
            reason="given back with no connection open",
            evidence={"node": session.node_id, "epoch": result.epoch},
        )
        return True

    freed = await store.run(work)
    session.releases_asked.pop(result.egress_id, None)
    return freed
