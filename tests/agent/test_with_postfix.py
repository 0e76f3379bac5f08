"""The agent as a process beside a real Postfix: nothing lost, nothing doubled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.agent.agent_box import Node, node
from tests.agent.standins import dispatched

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]


@pytest.fixture(params=["bookworm", "trixie"])
async def a_node(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Node]:
    async with node(tmp_path, request.param) as made:
        yield made


async def test_a_dispatched_message_is_sent_once_and_told_with_its_evidence(a_node: Node) -> None:
    a_node.controller.dispatch(dispatched(1, "ok@b.test"))
    await a_node.until(lambda: a_node.controller.kinds(1) == ["queued", "sent"])
    sent = a_node.controller.event(1, "sent")
    assert "status=sent (250 2.0.0 Ok: taken)" in sent.log_line
    assert (sent.dsn, sent.reason) == ("2.0.0", "250 2.0.0 Ok: taken")
    (record,) = a_node.received()
    assert record["sender"] == "info+00000000000000000000000001@a.test"
    assert record["content"].endswith("\r\n\r\nhello\r\n.dot\r\n")
