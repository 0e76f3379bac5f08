"""Who gets in, and the doors beside gRPC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from postfleet.v1 import fleet_pb2, fleet_pb2_grpc, node_pb2, node_pb2_grpc

from controller.keys.authority import SERVER_NAME, open_fleet_ca
from controller.keys.identity import Kind
from controller.keys.sealing import open_sealer
from controller.server import Controller, serving
from controller.serving.errors import AddressInUse, ForeignKeys
from controller.serving.http import targets
from controller.serving.settings import Endpoint, RunSettings
from controller.store import Store
from tests.controller.simulated_agent import channel
from tests.controller.small_fleet import apply, enrol, small_inventory, sql

LOCAL = Endpoint("127.0.0.1", 0)


@pytest.fixture
async def controller(database: str, tmp_path: Path) -> AsyncIterator[Controller]:
    async with serving(RunSettings(tmp_path, LOCAL), database) as controller:
        yield controller


async def get(port: int, path: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def code_of(call: grpc.aio.UnaryUnaryCall) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


async def test_nobody_gets_in_without_a_certificate_of_the_fleet(
    controller: Controller, tmp_path: Path
) -> None:
    request = health_pb2.HealthCheckRequest()
    options = [("grpc.ssl_target_name_override", SERVER_NAME)]
    target = f"127.0.0.1:{controller.port}"
    nobody = grpc.ssl_channel_credentials(controller.ca.pem)
    async with grpc.aio.secure_channel(target, nobody, options=options) as link:
        call = health_pb2_grpc.HealthStub(link).Check(request, timeout=5)
        assert await code_of(call) is grpc.StatusCode.UNAVAILABLE
    stranger = open_fleet_ca(tmp_path / "other").issue_identity(Kind.OPERATOR, "mallory")
    async with channel(target, controller.ca.pem, stranger) as link:
        call = health_pb2_grpc.HealthStub(link).Check(request, timeout=5)
        assert await code_of(call) is grpc.StatusCode.UNAVAILABLE
    async with grpc.aio.insecure_channel(target) as link:
        call = health_pb2_grpc.HealthStub(link).Check(request, timeout=5)
        assert await code_of(call) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("kind", [Kind.NODE, Kind.CLIENT, Kind.CONTROLLER])
async def test_only_operators_call_the_fleet_service_and_refusals_are_audited_once_a_minute(
    controller: Controller, kind: Kind
) -> None:
    issued = controller.ca.issue_identity(kind, "" if kind is Kind.CONTROLLER else "x")
    async with channel(f"127.0.0.1:{controller.port}", controller.ca.pem, issued) as link:
        stub = fleet_pb2_grpc.FleetServiceStub(link)
        for _ in range(3):
            code = await code_of(stub.GetFleet(fleet_pb2.GetFleetRequest(), timeout=5))
            assert code is grpc.StatusCode.PERMISSION_DENIED
    rows = await controller.store.fetch_all(
        sql("SELECT actor, subject FROM audit WHERE action = 'refuse-call'")
    )
    actor = "controller" if kind is Kind.CONTROLLER else f"{kind}/x"
    assert rows == [{"actor": actor, "subject": "rpc/postfleet.v1.FleetService/GetFleet"}]


async def test_only_nodes_open_sessions(controller: Controller) -> None:
    issued = controller.ca.issue_identity(Kind.OPERATOR, "alice")
    async with channel(f"127.0.0.1:{controller.port}", controller.ca.pem, issued) as link:
        call = node_pb2_grpc.NodeServiceStub(link).Session()
        await call.write(node_pb2.NodeMessage(hello=node_pb2.Hello(node_id="n1")))
        assert await call.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_anybody_of_the_fleet_may_ask_for_health(controller: Controller) -> None:
    issued = controller.ca.issue_identity(Kind.CLIENT, "acme")
    async with channel(f"127.0.0.1:{controller.port}", controller.ca.pem, issued) as link:
        for service in ("", "postfleet.v1.NodeService", "postfleet.v1.FleetService"):
            answer = await health_pb2_grpc.HealthStub(link).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=5
            )
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_metrics_and_targets_are_served_over_http(database: str, tmp_path: Path) -> None:
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()
    settings = RunSettings(tmp_path, LOCAL, metrics=Endpoint("127.0.0.1", port))
    async with serving(settings, database) as controller:
        await apply(controller.store, controller.sealer, small_inventory(nodes=2))
        await enrol(controller.store, controller.ca, "n2")
        status, body = await get(port, "/metrics")
        assert status == 200
        assert b"postfleet_controller_sessions 0.0" in body
        status, body = await get(port, "/http_sd")
        assert status == 200
        assert [group["targets"] for group in json.loads(body)] == [
            [f"127.0.0.1:{port}"], ["10.80.0.12:9601"], ["10.80.0.12:9602"],
        ]  # fmt: skip
        assert (await get(port, "/healthz"))[0] == 200
        assert (await get(port, "/secrets"))[0] == 404


def test_targets_of_a_fleet_without_nodes_are_the_controller_alone() -> None:
    assert targets([], "h:1") == [{"targets": ["h:1"], "labels": {"service": "controller"}}]


async def test_the_echo_tells_each_caller_its_address(database: str, tmp_path: Path) -> None:
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()
    settings = RunSettings(tmp_path, LOCAL, probe_echo=Endpoint("127.0.0.1", port))
    async with serving(settings, database):
        for source in ("127.0.0.1", "127.0.0.9"):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(source, 0)
            )
            assert await reader.read() == f"{source}\n".encode()
            writer.close()


async def test_a_second_controller_on_the_same_address_is_told_so(
    controller: Controller, database: str, tmp_path: Path
) -> None:
    taken = RunSettings(tmp_path, Endpoint("127.0.0.1", controller.port))
    with pytest.raises(AddressInUse, match="another controller"):
        async with serving(taken, database):
            pass


async def test_a_controller_with_other_keys_does_not_serve_this_database(
    controller: Controller, database: str, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ForeignKeys, match="not this database's"):
        async with serving(RunSettings(other, LOCAL), database):
            pass
    (tmp_path / "ca").rename(tmp_path / "kept")
    (tmp_path / "ca").symlink_to(tmp_path / "kept")
    (tmp_path / "sealing.key").write_bytes(b"k" * 32)
    with pytest.raises(ForeignKeys, match=r"sealing\.key"):
        async with serving(RunSettings(tmp_path, LOCAL), database):
            pass


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", ":1", "host:65536"])
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not HOST:PORT"):
        Endpoint.parse(text)


def test_endpoints_are_read_and_written() -> None:
    assert Endpoint.parse("[::1]:7443") == Endpoint("::1", 7443)
    assert str(Endpoint.parse("[::1]:7443")) == "[::1]:7443"
    assert str(Endpoint.parse("10.0.0.1:0")) == "10.0.0.1:0"


async def test_stored_secrets_are_unreadable_without_the_key(store: Store, tmp_path: Path) -> None:
    await apply(store, open_sealer(tmp_path), small_inventory())
    for text in (
        "SELECT sealed_password AS value FROM egress",
        "SELECT sealed_key AS value FROM dkim_key",
    ):
        for row in await store.fetch_all(sql(text)):
            assert b"secret" not in bytes(row["value"])
            assert b"PRIVATE" not in bytes(row["value"])
