"""Takes dispatched messages into the spool, or says why not, in the order of the Dispatch."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from postfleet.v1 import node_pb2

from node_agent.agent import metrics
from node_agent.agent.errors import DiskFullError
from node_agent.agent.handover.waiting import WaitingRoom
from node_agent.agent.handover.worker import HandOver
from node_agent.agent.lifecycle import State
from node_agent.agent.right import Right
from node_agent.agent.spool.messages import SpooledMessage
from node_agent.agent.spool.spool import Spool
from node_agent.agent.verp import with_token

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Message id to (code, detail).
Refusals = dict[str, tuple[str, str]]


def malformed(message: node_pb2.DispatchedMessage) -> str | None:
    """What is wrong with a message that no controller should send; None: nothing. Pure."""
    try:
        sender = with_token(message.mailbox, message.message_id)
    except ValueError as error:
        return str(error)
    for address in (sender, message.recipient):
        if _CONTROL.search(address) or "@" not in address:
            return f"{address!r} is no address"
    if not message.content:
        return "it has no content"
    if b"\0" in message.content or message.content.replace(b"\r\n", b"").count(b"\n"):
        return "its content has NULs or line ends without CR"
    if message.epoch < 1 or not message.egress_id:
        return "it names no egress or no term"
    return None


def spooled(message: node_pb2.DispatchedMessage) -> SpooledMessage:
    """The row for a message. Without a time it is due at once."""
    return SpooledMessage(
        id=message.message_id,
        mailbox=message.mailbox,
        recipient=message.recipient,
        egress_id=message.egress_id,
        epoch=message.epoch,
        not_before_ms=message.not_before.ToMilliseconds(),
        size=len(message.content),
        state=State.STORED,
    )


class DispatchDesk:
    """Takes Dispatch messages, one at a time."""

    def __init__(
        self,
        spool: Spool,
        room: WaitingRoom,
        right: Right,
        hand_over: HandOver,
        most_waiting: int,
    ) -> None:
        self._spool = spool
        self._room = room
        self._right = right
        self._hand_over = hand_over
        self._most_waiting = most_waiting
        # Kept from being collected; each is done in a moment.
        self._storing: set[asyncio.Task[None]] = set()

    @property
    def is_storing(self) -> bool:
        """Whether something is being stored, for this session or one that is over."""
        return bool(self._storing)

    async def take(self, dispatch: node_pb2.Dispatch) -> node_pb2.DispatchResult:
        """Store and answer. What was stored before is answered as stored.

        What waits here for an earlier term is stored anew: it came back to the controller when that
        term ended, and this is its new time.
        """
        messages = list(dispatch.messages)
        known = await self._spool.known({m.message_id: m.epoch for m in messages})
        new = [m for m in messages if m.message_id not in known]
        refused = self._refusals(new)
        taken = [m for m in new if m.message_id not in refused]
        try:
            await self._store(taken)
        except DiskFullError as error:
            refused.update({m.message_id: ("disk-full", str(error)) for m in taken})
        for code, _ in refused.values():
            metrics.DISPATCH_REFUSED.labels(code).inc()
        return node_pb2.DispatchResult(
            stored=[m.message_id for m in messages if m.message_id not in refused],
            refused=[
                node_pb2.RefusedMessage(message_id=i, code=code, detail=detail)
                for i, (code, detail) in refused.items()
            ],
        )

    def _refusals(self, messages: Sequence[node_pb2.DispatchedMessage]) -> Refusals:
        refusals: Refusals = {}
        room = self._most_waiting - len(self._room)
        for message in messages:
            wrong = malformed(message)
            refusal = (
                ("malformed", wrong)
                if wrong
                else self._right.why_refused(message.mailbox, message.egress_id, message.epoch)
            )
            if refusal is None and room <= 0:
                refusal = ("too-many", f"{len(self._room)} messages wait here already")
            if refusal is None:
                room -= 1
            else:
                refusals[message.message_id] = refusal
        return refusals

    async def _store(self, messages: Sequence[node_pb2.DispatchedMessage]) -> None:
        """Store them and let them wait, also when the session ends in the middle of it.

        The spool's thread finishes what it began. What is on disk and in no room would wait until
        the agent starts anew, although the controller is told in the next session that it is here.
        """
        if not messages:
            return
        task = asyncio.create_task(self._store_whole(messages))
        self._storing.add(task)
        task.add_done_callback(self._stored)
        await asyncio.shield(task)

    def _stored(self, task: asyncio.Task[None]) -> None:
        self._storing.discard(task)
        if not task.cancelled():
            # A full disk is nobody's to hear of when the session is over.
            task.exception()

    async def _store_whole(self, messages: Sequence[node_pb2.DispatchedMessage]) -> None:
        stored = await self._spool.store([(spooled(m), m.content) for m in messages])
        metrics.STORED.inc(len(stored))
        for message in stored:
            self._room.discard(message.id)
            self._hand_over.put_in_room(message)
