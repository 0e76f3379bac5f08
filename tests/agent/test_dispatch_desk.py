"""What is dispatched is not forgotten, wherever its session ended, and waits for its last term."""

from __future__ import annotations

import asyncio
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp
from postfleet.v1 import node_pb2

from node_agent.agent.handover.waiting import WaitingRoom
from node_agent.agent.handover.worker import HandOver
from node_agent.agent.lifecycle import State
from node_agent.agent.right import Right
from node_agent.agent.session.dispatch import DispatchDesk
from node_agent.agent.spool.spool import Learned
from tests.agent.samples import message_id
from tests.agent.test_spool import opened, settings


async def _nothing(_: list[Learned]) -> None:
    """The outbox is of no interest here."""


def _dispatch(number: int, epoch: int = 3, not_before_s: int = 0) -> node_pb2.Dispatch:
    return node_pb2.Dispatch(
        messages=[
            node_pb2.DispatchedMessage(
                message_id=message_id(number), mailbox="a@b.test", recipient="c@d.test",
                egress_id="px001", epoch=epoch, content=b"Subject: s\r\n\r\nx\r\n",
                not_before=Timestamp(seconds=not_before_s),
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


async def test_what_waits_for_a_term_that_is_over_is_stored_anew_when_it_is_dispatched_again(
    tmp_path: Path,
) -> None:
    """The controller took it back when term 3 ended, planned it for later, and gives it to this
    node again before the sweep has seen to what term 3 left behind: as after a crash in between.
    """
    async with opened(settings(tmp_path)) as spool:
        room, right = WaitingRoom(), Right()
        hand_over = HandOver(spool, room, right, ("127.0.0.1", 1), 10, _nothing)
        desk = DispatchDesk(spool, room, right, hand_over, 1000)
        await desk.take(_dispatch(1, epoch=3, not_before_s=100))
        right.highest_epoch = 4
        answer = await desk.take(_dispatch(1, epoch=4, not_before_s=200))
        assert list(answer.stored) == [message_id(1)]
        [row] = await spool.in_states(State.STORED)
        assert (row.epoch, row.not_before_ms) == (4, 200_000)
        assert not room.ids(lambda _, __, epoch: epoch < 4)
        assert room.next_due_ms(lambda *_: True) == 200_000
        assert not await spool.events_after(0)

        # Said once more, or late and of the term before, it changes nothing.
        for epoch in (4, 3):
            again = await desk.take(_dispatch(1, epoch=epoch, not_before_s=300))
            assert list(again.stored) == [message_id(1)]
        assert await spool.in_states(State.STORED) == [row]

        # What may be in Postfix stays what it is, whatever is dispatched.
        await spool.mark_handing([message_id(1)])
        await desk.take(_dispatch(1, epoch=5, not_before_s=300))
        [handing] = await spool.in_states(State.HANDING)
        assert handing.epoch == 4
