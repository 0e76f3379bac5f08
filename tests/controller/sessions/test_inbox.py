"""What a node said: heartbeats apart, the rest in order, together only what is of one kind."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postfleet.v1 import node_pb2

from controller.sessions import inbox as inboxes
from controller.sessions.inbox import Inbox


def report(seq: int, events: int = 1) -> node_pb2.NodeMessage:
    message = node_pb2.NodeMessage()
    for n in range(events):
        message.event_report.events.add(seq=seq + n, log_line="x" * 100)
    return message


def heartbeat(seq: int) -> node_pb2.NodeMessage:
    return node_pb2.NodeMessage(heartbeat=node_pb2.Heartbeat(seq=seq))


def probe(number: int) -> node_pb2.NodeMessage:
    return node_pb2.NodeMessage(probe_report=node_pb2.ProbeReport(latency_ms=number))


SAID = st.lists(st.sampled_from(["report", "probe", "heartbeat"]), max_size=30)


@given(SAID, st.lists(st.integers(0, 4), max_size=30))
def test_the_rest_comes_in_order_and_only_reports_come_together(
    said: list[str], reads: list[int]
) -> None:
    async def scene() -> None:
        inbox = Inbox()
        make = {"report": report, "probe": probe, "heartbeat": heartbeat}
        put = [make[kind](number) for number, kind in enumerate(said, 1)]
        given: list[list[node_pb2.NodeMessage]] = []

        async def read() -> None:
            while True:
                given.append([said.message for said in await inbox.rest()])
                for _ in range(reads[len(given) - 1] if len(given) <= len(reads) else 0):
                    await asyncio.sleep(0)

        reader = asyncio.create_task(read())
        for message in put:
            await inbox.put(message)
            await asyncio.sleep(0)
        await inbox.done()
        reader.cancel()
        rest = [message for message in put if message.WhichOneof("body") != "heartbeat"]
        assert [message for messages in given for message in messages] == rest
        for messages in given:
            kinds = {message.WhichOneof("body") for message in messages}
            assert len(messages) == 1 or kinds == {"event_report"}

    asyncio.run(scene())


async def test_a_heartbeat_does_not_wait_and_the_newest_counts() -> None:
    inbox = Inbox()
    await inbox.put(report(1))
    await inbox.put(heartbeat(1))
    await inbox.put(heartbeat(2))
    assert (await inbox.heartbeat()).seq == 2
    again = asyncio.create_task(inbox.heartbeat())
    await asyncio.sleep(0.01)
    assert not again.done()
    await inbox.put(heartbeat(3))
    assert (await again).seq == 3


async def test_no_more_events_are_given_together_than_a_transaction_should_hold() -> None:
    inbox = Inbox()
    for number in range(5):
        await inbox.put(report(number * 400, events=400))
    sizes = [len(await inbox.rest()) for _ in range(3)]
    assert sizes == [2, 2, 1]


async def test_who_says_too_much_waits_until_some_of_it_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inboxes, "MOST_OCTETS", 300)
    inbox = Inbox()
    await inbox.put(report(1))
    await inbox.put(report(2))
    third = asyncio.create_task(inbox.put(report(3)))
    await asyncio.sleep(0.01)
    assert not third.done()
    await inbox.rest()
    await asyncio.wait_for(third, 1)


async def test_all_is_done_only_when_the_one_who_does_it_asks_for_more() -> None:
    inbox = Inbox()
    await inbox.put(report(1))
    done = asyncio.create_task(inbox.done())
    await inbox.rest()
    await asyncio.sleep(0.01)
    assert not done.done()
    more = asyncio.create_task(inbox.rest())
    await asyncio.wait_for(done, 1)
    more.cancel()
