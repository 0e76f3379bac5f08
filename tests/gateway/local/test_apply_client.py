"""What the agent learns from postfleet-apply, and from its silence."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from postfleet.v1 import local_pb2, spec_pb2

from node_agent.local.apply_client import apply, apply_blocking
from node_agent.local.apply_reply import decode_apply_reply, encode_apply_reply
from node_agent.local.errors import Malformed, Unreachable

REQUEST = local_pb2.ApplyRequest(spec=spec_pb2.NodeSpec(generation=7, node_id="n1"))


@pytest.fixture
def serve(tmp_path: Path):
    """Answer each connection with what `answer(request octets)` returns, on a unix socket."""
    listeners: list[socket.socket] = []

    def start(answer: Callable[[bytes], bytes], read: bool = True) -> Path:
        path = tmp_path / "apply.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        listeners.append(listener)

        def run() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer, contextlib.suppress(OSError):
                    data = b""
                    while read and (chunk := peer.recv(65536)):
                        data += chunk
                    peer.sendall(answer(data))

        threading.Thread(target=run, daemon=True).start()
        return path

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def ask_both(path: Path, **options: float) -> list[local_pb2.ApplyReply]:
    return [
        apply_blocking(REQUEST, path, **options),
        asyncio.run(apply(REQUEST, path, **options)),
    ]


def test_the_request_arrives_whole_and_the_reply_comes_back(serve):
    seen = []

    def answer(data: bytes) -> bytes:
        seen.append(local_pb2.ApplyRequest.FromString(data))
        return encode_apply_reply(local_pb2.ApplyReply(running_generation=7))

    for reply in ask_both(serve(answer)):
        assert (reply.stage, reply.running_generation) == ("", 7)
    assert seen == [REQUEST, REQUEST]


def test_a_failed_stage_is_an_answer_and_no_exception(serve):
    failed = local_pb2.ApplyReply(stage="check", error="bananas", running_generation=6)
    for reply in ask_both(serve(lambda _: encode_apply_reply(failed))):
        assert (reply.stage, reply.error, reply.running_generation) == ("check", "bananas", 6)


def test_an_apply_that_dies_without_a_word_is_not_taken_for_done(serve):
    path = serve(lambda _: b"")
    with pytest.raises(Unreachable, match="without an answer"):
        apply_blocking(REQUEST, path)
    with pytest.raises(Unreachable, match="without an answer"):
        asyncio.run(apply(REQUEST, path))


def test_a_reply_cut_anywhere_is_not_taken_for_done():
    whole = encode_apply_reply(
        local_pb2.ApplyReply(stage="probe", error="nothing arrived", running_generation=6)
    )
    for length in range(len(whole)):
        with pytest.raises((Unreachable, Malformed)):
            decode_apply_reply(whole[:length])
    assert decode_apply_reply(whole).stage == "probe"


def test_a_missing_socket_says_which_and_what_to_check(tmp_path: Path):
    missing = tmp_path / "none.sock"
    with pytest.raises(Unreachable, match=r"none\.sock.*postfleet-apply\.socket"):
        apply_blocking(REQUEST, missing)
    with pytest.raises(Unreachable, match=r"none\.sock.*postfleet-apply\.socket"):
        asyncio.run(apply(REQUEST, missing))


def test_an_apply_that_hangs_ends_the_wait(serve):
    path = serve(lambda _: (threading.Event().wait(1), b"")[1])
    with pytest.raises(Unreachable, match="did not answer within"):
        apply_blocking(REQUEST, path, timeout_s=0.05)


async def test_an_apply_that_hangs_ends_the_wait_in_asyncio_too(serve):
    path = serve(lambda _: (threading.Event().wait(1), b"")[1])
    with pytest.raises(Unreachable, match="did not answer within"):
        await apply(REQUEST, path, timeout_s=0.05)


def test_a_refusal_before_the_request_was_read_is_still_heard(serve):
    refusal = encode_apply_reply(local_pb2.ApplyReply(stage="validate", error="busy"))
    big = local_pb2.ApplyRequest(spec=spec_pb2.NodeSpec(hostname="x" * 1_000_000))
    path = serve(lambda _: refusal, read=False)
    try:
        heard = apply_blocking(big, path).error
    except Unreachable as error:
        # The kernel may drop an answer whose writer closed with unread octets; never "done".
        heard = str(error)
    assert heard == "busy" or "reset" in heard or "without an answer" in heard


def test_garbage_is_malformed():
    with pytest.raises(Malformed):
        decode_apply_reply(b"\xff\xff\xff\xff")
