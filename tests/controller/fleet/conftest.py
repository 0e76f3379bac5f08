"""A controller on a real database, reached over real mTLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postfleet.v1 import fleet_pb2_grpc, submission_pb2_grpc

from controller.server import serving
from controller.serving.settings import Endpoint, RunSettings
from tests.controller.served import Served, operator_channel


@pytest.fixture
async def served(database: str, tmp_path: Path) -> AsyncIterator[Served]:
    settings = RunSettings(tmp_path / "state", Endpoint("127.0.0.1", 0))
    async with serving(settings, database) as controller:
        folder = tmp_path / "state" / "operator"
        async with operator_channel(controller.port, folder) as channel:
            yield Served(
                controller,
                fleet_pb2_grpc.FleetServiceStub(channel),
                submission_pb2_grpc.SubmissionServiceStub(channel),
                tmp_path / "state",
                database,
            )
