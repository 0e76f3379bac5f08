"""What tests of the fleet and its CLI share: a served controller, small inventories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from postfleet.v1 import fleet_pb2, fleet_pb2_grpc, submission_pb2_grpc

from controller.server import Controller, serving
from controller.serving.settings import Endpoint, RunSettings
from inventory.load import parse
from inventory.reference import render
from inventory.secrets import references

# Controllers of tests ask no resolver of the machine's.
NO_DNS = (Endpoint("127.0.0.1", 9),)


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

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What a statement gives in the controller's database; nothing where it gives no rows."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    async def audit(self, subject: str) -> list[fleet_pb2.AuditEntry]:
        """What the audit log has of it."""
        reply = await self.fleet.ListAudit(fleet_pb2.ListAuditRequest(subject=subject))
        return list(reply.entries)

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


def new_csr() -> str:
    """A PEM certificate request of a new key, as a node makes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "whoever")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    return request.public_bytes(Encoding.PEM).decode()


@pytest.fixture
async def served(database: str, tmp_path: Path) -> AsyncIterator[Served]:
    settings = RunSettings(tmp_path / "state", Endpoint("127.0.0.1", 0), dns=NO_DNS)
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
