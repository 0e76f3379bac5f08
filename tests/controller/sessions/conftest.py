"""Served controllers of small fleets: egresses px1 to px4 with two mailboxes each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.server import Controller
from controller.store import Store
from tests.controller.sessions.scene import CALM_LEASE, LONG_LEASE, controller_of


@pytest.fixture
async def controller(database: str, store: Store, tmp_path: Path) -> AsyncIterator[Controller]:
    """Two nodes, whose leases end within seconds."""
    async with controller_of(database, store, tmp_path) as controller:
        yield controller


@pytest.fixture
async def calm(database: str, store: Store, tmp_path: Path) -> AsyncIterator[Controller]:
    """Two nodes, whose leases outlast a busy machine's pauses."""
    async with controller_of(database, store, tmp_path, lease=CALM_LEASE) as controller:
        yield controller


@pytest.fixture
async def for_ever(database: str, store: Store, tmp_path: Path) -> AsyncIterator[Controller]:
    """Two nodes, whose leases do not end."""
    async with controller_of(
        database, store, tmp_path, join_grace_s=600, lease=LONG_LEASE
    ) as controller:
        yield controller


@pytest.fixture
async def one_node(database: str, store: Store, tmp_path: Path) -> AsyncIterator[Controller]:
    """A single node, with a calm lease."""
    async with controller_of(database, store, tmp_path, nodes=1, lease=CALM_LEASE) as controller:
        yield controller
