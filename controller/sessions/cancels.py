"""Asks nodes to give back messages that are cancelled, until they did or the messages ended."""

from __future__ import annotations

from collections.abc import Sequence

from postfleet.v1 import node_pb2

from controller.sessions.session import NodeSession

# Of one node at once; the rest follows when these have ended.
MOST = 1000
# One that was being delivered may wait in the queue by now.
ASK_AGAIN_S = 10.0


def ask_to_cancel(session: NodeSession, message_ids: Sequence[str], now_s: float) -> bool:
    """Puts a Cancel into the outbox for those not asked for lately; False where there are none."""
    asked = session.cancels_asked
    for message_id in asked.keys() - set(message_ids):
        del asked[message_id]
    due = [i for i in message_ids if now_s - asked.get(i, float("-inf")) >= ASK_AGAIN_S]
    if not due:
        return False
    asked.update(dict.fromkeys(due, now_s))
    session.outbox.put(node_pb2.ControllerMessage(cancel=node_pb2.Cancel(message_ids=due)))
    return True
