"""Has postfleet-apply act on Postfix's queue (postsuper(1) is root's)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from postfleet.v1 import local_pb2

from node_agent.agent.errors import QueueOrderError
from node_agent.local import apply_client
from node_agent.local.errors import LocalError

# Queue ids in one request; apply takes 10,000.
MOST_AT_ONCE = 1000


async def order(
    action: local_pb2.QueueAction.ValueType, queue_ids: Iterable[str], socket: Path
) -> None:
    """Do it to all of these; return when it is done. Raises QueueOrderError."""
    ordered = sorted(queue_ids)
    for start in range(0, len(ordered), MOST_AT_ONCE):
        command = local_pb2.QueueCommand(
            action=action, queue_ids=ordered[start : start + MOST_AT_ONCE]
        )
        try:
            reply = await apply_client.apply(local_pb2.ApplyRequest(queue=command), socket)
        except LocalError as error:
            raise QueueOrderError(str(error)) from error
        if reply.stage:
            raise QueueOrderError(f"{reply.stage}: {reply.error}")
