"""What a node says to mail it was sent: on disk, or not taken."""

from __future__ import annotations

import time

import structlog
from postfleet.v1 import node_pb2

from controller.sessions.session import NodeSession
from controller.store import Store, Transaction, queries

_SQL = queries.load("dispatch")
_log = structlog.get_logger(__name__)
# Refusals that concern the whole node, and one that the next dispatch will heal by itself. All
# others concern the message, which is not offered again for a while.
_NO_ROOM = frozenset({"disk-full", "too-many"})
_STALE = "stale-epoch"
REFUSED_AGAIN_S = 60.0
RESEND_PAGE = 200


async def record_dispatch_result(
    store: Store, session: NodeSession, result: node_pb2.DispatchResult
) -> None:
    """Stored messages are the node's; refused ones wait to be dispatched again.

    An answer that comes in when another session speaks for the node already changes nothing: since
    it was given, its messages may have been taken back and dispatched anew.
    """
    refused = {item.message_id: item for item in result.refused}
    speaker = {"node_id": session.node_id, "session_id": session.session_id}

    async def work(tx: Transaction) -> None:
        if result.stored:
            await tx.execute(_SQL["mark_stored"], ids=sorted(result.stored), **speaker)
        if refused:
            await tx.execute(
                _SQL["take_back"],
                **speaker,
                ids=sorted(refused),
                reasons=[_reason(session, refused[id]) for id in sorted(refused)],
            )

    await store.run(work)
    session.answered([*result.stored, *refused])
    now_s = time.monotonic()
    for message_id, item in refused.items():
        if item.code not in _NO_ROOM and item.code != _STALE:
            session.refused_until_s[message_id] = now_s + REFUSED_AGAIN_S
    if any(item.code in _NO_ROOM for item in refused.values()):
        session.pause(now_s)
    elif result.stored:
        session.pause_s = 0
    if refused:
        codes = sorted({item.code for item in refused.values()})
        _log.info("node refused mail", node=session.node_id, count=len(refused), codes=codes)
    elif result.stored:
        _log.debug("node stored mail", node=session.node_id, count=len(result.stored))


async def resend_unacknowledged(store: Store, session: NodeSession) -> int:
    """Sends what earlier sessions sent and the node never answered, under its old term.

    The node says `stored` to what it has, whatever the term, and refuses the rest where the term
    is over: only then is it known that the message is on no disk.
    """
    count, after = 0, ""
    while True:
        rows = await store.fetch_all(
            _SQL["unacknowledged"], node_id=session.node_id, after=after, limit=RESEND_PAGE
        )
        if not rows:
            return count
        count += session.send_mail(rows)
        after = rows[-1]["id"]


def _reason(session: NodeSession, item: node_pb2.RefusedMessage) -> str:
    return f"node {session.node_id} did not take it: {item.code} {item.detail}".strip()[:500]
