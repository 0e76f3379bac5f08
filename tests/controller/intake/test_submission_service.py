"""SubmissionService over real mTLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from postfleet.v1 import submission_pb2 as pb
from postfleet.v1 import submission_pb2_grpc
from prometheus_client import CollectorRegistry

from controller.intake.service import SubmissionService
from controller.keys.authority import FleetCa, open_fleet_ca
from controller.keys.identity import Kind
from controller.metrics import REGISTRY
from controller.serving.rpc import RpcServer
from controller.serving.settings import Endpoint
from controller.store import Store

BODY = b"Subject: hello\r\n\r\nbody\r\n"


@dataclass
class Door:
    """A served SubmissionService."""

    ca: FleetCa
    port: int

    @asynccontextmanager
    async def caller(
        self, kind: Kind, id: str
    ) -> AsyncIterator[submission_pb2_grpc.SubmissionServiceStub]:
        issued = self.ca.issue_identity(kind, id)
        credentials = grpc.ssl_channel_credentials(
            self.ca.pem, issued.key_pem, issued.certificate_pem
        )
        async with grpc.aio.secure_channel(f"127.0.0.1:{self.port}", credentials) as channel:
            yield submission_pb2_grpc.SubmissionServiceStub(channel)


@pytest.fixture
async def door(
    store: Store, make_fleet: Callable[..., list[str]], tmp_path: Path
) -> AsyncIterator[Door]:
    make_fleet("acme")
    make_fleet("bolt")
    ca = open_fleet_ca(tmp_path)
    service = SubmissionService(store)
    server = RpcServer(
        store,
        ca,
        Endpoint("127.0.0.1", 0),
        ["127.0.0.1"],
        [
            (
                "postfleet.v1.SubmissionService",
                lambda s: submission_pb2_grpc.add_SubmissionServiceServicer_to_server(service, s),
            )
        ],
    )
    yield Door(ca, await server.start())
    await server.stop(0)


def request(*keys: str, client: str = "acme", content: bytes = BODY) -> pb.SubmitRequest:
    return pb.SubmitRequest(
        messages=[
            pb.SubmittedMessage(
                idempotency_key=key, client_id=client, recipient="r@x.test", content=content
            )
            for key in keys
        ]
    )


async def test_requests_of_a_stream_are_answered_in_order(door: Door) -> None:
    async with door.caller(Kind.CLIENT, "acme") as stub:
        call = stub.Submit(request(*(f"{n}-{i}" for i in range(n % 5))) for n in range(20))
        sizes = [len(response.results) async for response in call]
    assert sizes == [n % 5 for n in range(20)]


async def test_a_client_that_waits_for_each_answer_gets_it(door: Door) -> None:
    async with door.caller(Kind.CLIENT, "acme") as stub:
        call = stub.Submit()
        for n in range(3):
            await call.write(request(f"k{n}"))
            response = await asyncio.wait_for(call.read(), 30)
            assert response.results[0].status == pb.SUBMIT_STATUS_ACCEPTED
            assert len(response.results[0].message_id) == 26
        await call.done_writing()
        assert await call.read() == grpc.aio.EOF


async def test_a_client_submits_for_itself_only_an_operator_for_all(door: Door) -> None:
    async with door.caller(Kind.CLIENT, "bolt") as stub:
        responses = [r async for r in stub.Submit(iter([request("k", client="acme")]))]
        assert responses[0].results[0].code == "unknown-client"
    async with door.caller(Kind.OPERATOR, "alice") as stub:
        responses = [r async for r in stub.Submit(iter([request("k", client="acme")]))]
        assert responses[0].results[0].status == pb.SUBMIT_STATUS_ACCEPTED


async def test_a_node_may_not_submit(door: Door) -> None:
    async with door.caller(Kind.NODE, "n1") as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            [r async for r in stub.Submit(iter([request("k")]))]
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_request_beyond_its_limits_ends_the_stream_after_earlier_answers(
    door: Door, database: str
) -> None:
    big = b"Subject: x\r\n\r\n" + b"y" * 998 * 2000
    for too_much in (
        request(*(str(n) for n in range(1001))),
        request("a", "b", content=big),
    ):
        async with door.caller(Kind.CLIENT, "acme") as stub:
            call = stub.Submit(iter([request("before"), too_much, request("behind")]))
            assert (await call.read()).results[0].message_id
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call.read()
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "earlier answers hold" in str(refused.value.details())


async def test_times_that_are_none_are_refused(door: Door) -> None:
    stamps = [Timestamp(seconds=2**60), Timestamp(seconds=1, nanos=-5), Timestamp(seconds=-(2**62))]
    sent = request("a", "b", "c", "d")
    for message, stamp in zip(sent.messages, stamps, strict=False):
        message.not_before.CopyFrom(stamp)
    async with door.caller(Kind.CLIENT, "acme") as stub:
        (response,) = [r async for r in stub.Submit(iter([sent]))]
    assert [r.code for r in response.results] == ["bad-time", "bad-time", "bad-time", ""]


async def test_an_answer_that_was_lost_comes_again_as_duplicate_with_the_same_id(
    door: Door, database: str
) -> None:
    async with door.caller(Kind.CLIENT, "acme") as stub:
        call = stub.Submit()
        await call.write(request("k1", "k2"))
        stored: dict[str, str] = {}
        while len(stored) < 2:
            await asyncio.sleep(0.02)
            with psycopg.connect(database) as connection:
                found = connection.execute(
                    "SELECT idempotency_key, message_id FROM submission"
                ).fetchall()
                stored = dict(found)
        # The sender goes without having read; all it knows is its keys.
        call.cancel()
    async with door.caller(Kind.CLIENT, "acme") as stub:
        (response,) = [r async for r in stub.Submit(iter([request("k1", "k2", "k3")]))]
    assert [r.status for r in response.results] == [
        pb.SUBMIT_STATUS_DUPLICATE, pb.SUBMIT_STATUS_DUPLICATE, pb.SUBMIT_STATUS_ACCEPTED
    ]  # fmt: skip
    assert [r.message_id for r in response.results][:2] == [stored["k1"], stored["k2"]]


async def test_results_are_counted_by_code(door: Door) -> None:
    def count(result: str) -> float:
        assert isinstance(REGISTRY, CollectorRegistry)
        labels = {"result": result}
        return REGISTRY.get_sample_value("postfleet_intake_messages_total", labels) or 0

    before = {result: count(result) for result in ("accepted", "unknown-client")}
    async with door.caller(Kind.OPERATOR, "alice") as stub:
        requests = [request("a", "b"), request("c", client="nobody")]
        assert len([r async for r in stub.Submit(iter(requests))]) == 2
    assert count("accepted") == before["accepted"] + 2
    assert count("unknown-client") == before["unknown-client"] + 1
