"""Mail that is dispatched in the moment in which the session ends is not forgotten."""

from __future__ import annotations

import asyncio
from pathlib import Path

from postfleet.v1 import node_pb2

from node_agent.agent.handover.waiting import WaitingRoom
from node_agent.agent.handover.worker import HandOver
from node_agent.agent.lifecycle import State
from node_agent.agent.right import Right
from node_agent.agent.session.dispatch import DispatchDesk
from node_agent.agent.spool.spool import Learned
from tests.agent.standins import message_id
from tests.agent.test_spool import opened, settings


async def _nothing(_: list[Learned]) -> None:
    """The outbox is of no interest here."""


def _dispatch(number: int) -> node_pb2.Dispatch:
    return node_pb2.Dispatch(
        messages=[
            node_pb2.DispatchedMessage(
                message_id=message_id(number), mailbox="a@b.test", recipient="c@d.test",
                egress_id="px001", epoch=3, content=b"Subject: s\r\n\r\nx\r\n",
            )
        ]
    )  # fmt: skip


async def test_what_is_on_disk_waits_for_its_time_wherever_the_session_broke(
    tmp_path: Path,
) -> None:
    async with opened(settings(tmp_path)) as spool:
        room, right = WaitingRoom(), Right()
        hand_over = HandOver(spool, room, right, ("127.0.0.1", 1), 10, _nothing)
        desk = DispatchDesk(spool, room, right, hand_over, 1000)
        cut = 0
        for number in range(60):
            task = asyncio.create_task(desk.take(_dispatch(number)))
            # At another step of it each time, and at some while the spool's thread is at work.
            for _ in range(number % 20):
                await asyncio.sleep(0.0002 * (number // 20))
            cut += task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        # What was begun is finished; the last of it in a moment.
        async with asyncio.timeout(30):
            while desk.is_storing:
                await asyncio.sleep(0.01)
        on_disk = {message.id for message in await spool.in_states(State.STORED)}
        assert cut > 0
        assert on_disk
        assert {i for i in on_disk if i not in room} == set()
