"""Asks nodes to delete queue files of messages about which an operator has decided."""

from __future__ import annotations

from collections.abc import Iterable

from postfleet.v1 import node_pb2

from controller.events.discards import discarded
from controller.sessions.session import NodeSession
from controller.store import Row, Store

# A node that could not delete one says nothing; it is asked again.
ASK_AGAIN_S = 30.0


def ask_discards(session: NodeSession, rows: Iterable[Row], now_s: float) -> bool:
    """Asks for what was not asked for lately (rows of `wanted`); gives whether it did."""
    message = node_pb2.Discard()
    for row in rows:
        key = (row["message_id"], row["queue_id"])
        if now_s - session.discards_asked.get(key, float("-inf")) >= ASK_AGAIN_S:
            session.discards_asked[key] = now_s
            message.messages.add(message_id=key[0], queue_id=key[1])
    if not message.messages:
        return False
    session.outbox.put(node_pb2.ControllerMessage(discard=message))
    return True


async def record_discards(
    store: Store, session: NodeSession, result: node_pb2.DiscardResult
) -> None:
    """The node has nothing of these any more."""
    ids = list(result.message_ids)
    await store.run(lambda tx: discarded(tx, session.node_id, ids))
    answered = set(ids)
    for key in [key for key in session.discards_asked if key[0] in answered]:
        del session.discards_asked[key]
