"""Postfix is reloaded while the agent is busy: decision 26."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from node_agent.agent.config import PostfixSettings
from tests.agent.agent_box import Node, all_end, node, once_each, senders
from tests.agent.samples import dispatched, message_id

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
RELOADS = 10


@asynccontextmanager
async def busy(a_node: Node, numbers: Iterator[int], sent: list[int]) -> AsyncIterator[None]:
    """Mail comes so fast that no connection of the agent ever rests; fills `sent`."""
    going = True

    async def send() -> None:
        while going:
            batch = [next(numbers) for _ in range(4)]
            sent.extend(batch)
            a_node.controller.dispatch(*(dispatched(n, "ok@b.test") for n in batch))
            await asyncio.sleep(0.05)

    await a_node.until(lambda: a_node.gateway.leases > 0)
    sending = asyncio.create_task(send())
    try:
        yield
    finally:
        going = False
        await sending


async def test_a_busy_agent_keeps_no_connection_for_long(one_node: Node) -> None:
    numbers, sent = iter(range(1, 100_000)), list[int]()
    async with busy(one_node, numbers, sent):
        await asyncio.sleep(12)
    await one_node.until(lambda: all_end(one_node, sent, "sent"), 120)
    # As many as there may be at one time, and at least one more of each.
    assert one_node.box.log.read_text().count(": connect from ") > 2 * PostfixSettings().connections
    assert senders(one_node) == once_each(sent)


async def test_what_only_an_old_session_puts_off_is_no_trouble_and_is_offered_again(
    tmp_path: Path,
) -> None:
    """A session knows the tables of its beginning, as it knows no milter that was started since."""
    known = "smtpd_sender_restrictions = check_recipient_access texthash:/etc/postfix/known, defer"
    async with node(tmp_path, "bookworm", f"{known}\n") as a_node:
        table = a_node.box.root / "etc/postfix/known"
        table.write_text("ok@b.test OK\n")
        (master,) = a_node.box.inner_pids("master")
        a_node.postfix_settings = "connections = 1"
        await a_node.stop_agent()
        a_node.start_agent()
        for number in range(RELOADS):
            opens, goes = 2 * number + 1, 2 * number + 2
            a_node.controller.dispatch(dispatched(opens, "ok@b.test"))
            await a_node.until(lambda: message_id(opens) in a_node.box.log.read_text())  # noqa: B023
            with table.open("a") as file:
                file.write(f"ok{number}@b.test OK\n")
            os.kill(master, signal.SIGHUP)
            a_node.controller.dispatch(dispatched(goes, f"ok{number}@b.test"))
            await a_node.until(lambda: all_end(a_node, range(goes, goes + 1), "sent"))  # noqa: B023
        assert senders(a_node) == once_each(range(1, 2 * RELOADS + 1))
        # It did meet old sessions, and minded them not.
        assert "Sender address rejected" in a_node.box.log.read_text()
        assert "intake-trouble" not in a_node.agent_log.read_text()
