"""Requests and replies on the gateway's control socket, from both kinds of callers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from pathlib import Path

import pytest
from postfleet.v1 import local_pb2

from node_agent.local.errors import Malformed, Refused, Unreachable
from node_agent.local.framing import Deframer, frame
from node_agent.local.gateway_blocking import BlockingGatewayClient
from node_agent.local.gateway_client import GatewayClient


class Gateway:
    """Answers control requests with `reply`; breaks off after `answers` of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reply: bytes = frame(reply())
        self.answers = 1000
        self.seen: list[local_pb2.GatewayRequest] = []
        self.connections = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with peer, contextlib.suppress(OSError):
                self._serve(peer)

    def _serve(self, peer: socket.socket) -> None:
        deframer, answered = Deframer(), 0
        while chunk := peer.recv(65536):
            for message in deframer.feed(chunk):
                self.seen.append(local_pb2.GatewayRequest.FromString(message))
                if answered == self.answers:
                    return
                peer.sendall(self.reply)
                answered += 1

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def reply(error: str = "", epoch: int = 3) -> bytes:
    status = local_pb2.GatewayStatus(version="0", epoch=epoch)
    return local_pb2.GatewayReply(error=error, status=status).SerializeToString()


@pytest.fixture
def gateway(tmp_path: Path):
    server = Gateway(tmp_path / "control.sock")
    yield server
    server.close()


def test_every_request_reaches_the_gateway_over_one_connection(gateway: Gateway):
    with BlockingGatewayClient(gateway.path) as client:
        client.lease(3, 10, 20, ["b", "a"])
        client.suspend({"a": "proxy-auth"})
        client.close_egresses(["a"])
        assert client.status().epoch == 3
    lease, suspensions, close, status = gateway.seen
    assert (lease.lease.epoch, list(lease.lease.egress_ids)) == (3, ["a", "b"])
    assert (lease.lease.trusted_until_ns, lease.lease.expires_at_ns) == (10, 20)
    assert suspensions.suspensions.suspensions[0].reason == "proxy-auth"
    assert list(close.close.egress_ids) == ["a"]
    assert status.WhichOneof("body") == "status"
    assert gateway.connections == 1


async def test_callers_of_one_asyncio_client_each_get_their_own_answer(gateway: Gateway):
    client = GatewayClient(gateway.path)
    states = await asyncio.gather(
        client.lease(3, 10, 20, ["a"]),
        client.suspend({}),
        client.close_egresses(["a"]),
        *(client.status() for _ in range(20)),
    )
    assert {state.epoch for state in states} == {3}
    assert (len(gateway.seen), gateway.connections) == (23, 1)
    await client.aclose()


def test_a_refusal_carries_the_gateways_words_and_state(gateway: Gateway):
    gateway.reply = frame(reply("epoch 2 is older than 3"))
    with (
        BlockingGatewayClient(gateway.path) as client,
        pytest.raises(Refused, match="refused lease: epoch 2 is older") as caught,
    ):
        client.lease(2, 10, 20, [])
    assert caught.value.status.epoch == 3


def test_after_a_break_the_next_request_finds_a_new_connection(gateway: Gateway):
    gateway.answers = 1
    with BlockingGatewayClient(gateway.path) as client:
        client.status()
        with pytest.raises(Unreachable, match="broke off"):
            client.status()
        assert client.status().epoch == 3


async def test_after_a_break_the_next_asyncio_request_finds_a_new_connection(gateway: Gateway):
    gateway.answers = 1
    client = GatewayClient(gateway.path)
    await client.status()
    with pytest.raises(Unreachable, match="broke off"):
        await client.status()
    assert (await client.status()).epoch == 3
    await client.aclose()


async def test_a_silent_gateway_ends_the_wait(gateway: Gateway):
    gateway.reply = b""
    client = GatewayClient(gateway.path, timeout_s=0.05)
    with pytest.raises(Unreachable, match=r"did not answer status within 0\.05 s"):
        await client.status()
    with (
        BlockingGatewayClient(gateway.path, timeout_s=0.05) as blocking,
        pytest.raises(Unreachable, match="timed out"),
    ):
        blocking.status()


async def test_a_missing_socket_says_which_and_what_to_check(tmp_path: Path):
    missing = tmp_path / "none.sock"
    with pytest.raises(Unreachable, match=r"none\.sock.*systemctl status postfleet-gateway"):
        await GatewayClient(missing).status()
    with pytest.raises(Unreachable, match=r"none\.sock.*systemctl status postfleet-gateway"):
        BlockingGatewayClient(missing).status()


async def test_an_answer_that_is_no_reply_is_malformed(gateway: Gateway):
    gateway.reply = frame(b"\xff\xff\xff")
    client = GatewayClient(gateway.path)
    with pytest.raises(Malformed):
        await client.status()
    await client.aclose()
    gateway.reply = b"HTTP/1.1 400 Bad Request\r\n"
    with pytest.raises(Malformed), BlockingGatewayClient(gateway.path) as blocking:
        blocking.status()


async def test_a_cancelled_request_leaves_no_answer_behind_for_the_next(gateway: Gateway):
    gateway.reply = b""
    client = GatewayClient(gateway.path)
    task = asyncio.create_task(client.status())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gateway.reply = frame(reply(epoch=9))
    assert (await client.status()).epoch == 9
    await client.aclose()
