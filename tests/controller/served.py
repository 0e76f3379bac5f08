"""What tests of the fleet and its CLI share: a served controller, small inventories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from postfleet.v1 import fleet_pb2, fleet_pb2_grpc, submission_pb2_grpc

from controller.server import Controller
from inventory.load import parse
from inventory.reference import render
from inventory.secrets import references


@dataclass
class Served:
    """A running controller and stubs that call it as the first operator."""

    controller: Controller
    fleet: fleet_pb2_grpc.FleetServiceStub
    submission: submission_pb2_grpc.SubmissionServiceStub
    state_dir: Path
    database: str

    async def apply(self, text: str, password: str = "s3cret") -> fleet_pb2.InventoryPlan:
        return await self.fleet.ApplyInventory(inventory_request(text, password))

    @asynccontextmanager
    async def channel_as(self, folder: Path) -> AsyncIterator[fleet_pb2_grpc.FleetServiceStub]:
        """A stub of whoever's credentials are in the folder."""
        async with operator_channel(self.controller.port, folder) as channel:
            yield fleet_pb2_grpc.FleetServiceStub(channel)


def operator_channel(port: int, folder: Path) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(
        (folder / "ca.pem").read_bytes(),
        (folder / "key.pem").read_bytes(),
        (folder / "cert.pem").read_bytes(),
    )
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials)


def inventory_request(text: str, password: str = "s3cret") -> fleet_pb2.InventoryRequest:
    """With the same password for all proxies and a made-up host key for all nodes."""
    secrets = {
        use.reference: password if use.kind == "password" else "ssh-ed25519 AAAA"
        for use in references(parse(text, "x").inventory)
    }
    return fleet_pb2.InventoryRequest(yaml=text, secrets=secrets)


def small_inventory(mailboxes: int = 24) -> str:
    return render(nodes=3, mailboxes=mailboxes)
