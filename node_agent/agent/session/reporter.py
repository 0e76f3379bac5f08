"""Reports events from the outbox, in order, with a window of unacknowledged ones."""

from __future__ import annotations

import asyncio

from postfleet.v1 import node_pb2

from node_agent.agent import clock, metrics
from node_agent.agent.session.outgoing import Outgoing
from node_agent.agent.spool.spool import Spool

# Events sent and not acknowledged; then the controller has to keep up first.
WINDOW = 5000
GATHER_S = 0.05


class Outbox:
    """What of the outbox was acknowledged and what is new; outlives sessions."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._changed = asyncio.Event()

    def grew(self) -> None:
        """Events were written."""
        self._changed.set()

    async def acknowledged(self, ack: node_pb2.EventAck) -> None:
        """The controller has stored events. One for another spool says nothing about ours."""
        if ack.spool_id == self._spool.spool_id:
            await self._spool.acknowledge(ack.up_to_seq)
            self._changed.set()

    async def report(self, outgoing: Outgoing) -> None:
        """Report for ever, beginning with everything unacknowledged."""
        sent, _ = await self._spool.event_bounds()
        while True:
            self._changed.clear()
            acked, last = await self._spool.event_bounds()
            metrics.OUTBOX.set(last - acked)
            sent = max(sent, acked)
            if sent < last and sent - acked < WINDOW:
                events = await self._spool.events_after(sent)
                report = node_pb2.EventReport(spool_id=self._spool.spool_id, events=events)
                report.written_at.FromMilliseconds(clock.wall_ms())
                await outgoing.say(node_pb2.NodeMessage(event_report=report))
                sent = events[-1].seq
                continue
            await self._changed.wait()
            # What comes in the same moment goes in the same report.
            await asyncio.sleep(GATHER_S)
