"""Fixtures of the agent's tests: an agent beside a real Postfix."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.agent.agent_box import Node, node


@pytest.fixture(params=["bookworm", "trixie"])
async def a_node(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Node]:
    async with node(tmp_path, request.param) as made:
        yield made


@pytest.fixture
async def one_node(tmp_path: Path) -> AsyncIterator[Node]:
    """For what does not depend on Postfix's version."""
    async with node(tmp_path, "bookworm") as made:
        yield made
