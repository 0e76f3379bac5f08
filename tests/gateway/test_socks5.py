"""The SOCKS5 dialogue, answered in every way and cut at every octet (RFC 1928, RFC 1929)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.gateway.admission import Stage
from node_agent.gateway.socks5 import REPLIES, Connected, Dialogue, Failed, Send

IPV4_REPLY = b"\x05\x00\x00\x01\xc6\x33\x64\x07\x04\x38"
NAME_REPLY = b"\x05\x00\x00\x03\x04abcd\x04\x38"
IPV6_REPLY = b"\x05\x00\x00\x04" + bytes(16) + b"\x04\x38"


def with_password(pipelined: bool = False) -> Dialogue:
    return Dialogue("203.0.113.10", 25, "user", "secret", pipelined=pipelined)


def run(dialogue: Dialogue, *answers: bytes) -> tuple[bytes, Connected | Failed | None]:
    """Feed the answers; return all octets sent, and how it ended."""
    sent = dialogue.start()
    for answer in answers:
        result = dialogue.feed(answer)
        if not isinstance(result, Send):
            return sent, result
        sent += result.data
    return sent, None


def test_the_octets_are_those_of_the_rfcs():
    sent, end = run(with_password(), b"\x05\x02", b"\x01\x00", IPV4_REPLY)
    assert sent == (
        b"\x05\x01\x02" + b"\x01\x04user\x06secret" + b"\x05\x01\x00\x01\xcb\x00\x71\x0a\x00\x19"
    )
    assert end == Connected(b"")


def test_without_a_user_no_authentication_is_offered():
    sent, end = run(Dialogue("203.0.113.10", 25), b"\x05\x00", IPV4_REPLY)
    assert sent == b"\x05\x01\x00" + b"\x05\x01\x00\x01\xcb\x00\x71\x0a\x00\x19"
    assert end == Connected(b"")


def test_pipelined_the_same_octets_go_out_at_once_and_nothing_later():
    pipelined = with_password(pipelined=True)
    steps, _ = run(with_password(), b"\x05\x02", b"\x01\x00", IPV4_REPLY)
    assert pipelined.start() == steps
    assert pipelined.feed(b"\x05") == Send(b"")
    assert pipelined.feed(b"\x02\x01\x00" + IPV4_REPLY + b"220 mx") == Connected(b"220 mx")


@given(
    pipelined=st.booleans(),
    reply=st.sampled_from([IPV4_REPLY, NAME_REPLY, IPV6_REPLY]),
    early=st.binary(max_size=40),
    data=st.data(),
)
def test_answers_may_be_cut_anywhere_and_no_early_octet_of_the_target_is_lost(
    pipelined, reply, early, data
):
    dialogue = with_password(pipelined)
    sent, steps = dialogue.start(), [b"\x05\x02", b"\x01\x00", reply + early]
    for step in steps:
        at = 0
        while at < len(step):
            size = data.draw(st.integers(1, len(step) - at))
            result = dialogue.feed(step[at : at + size])
            at += size
            if isinstance(result, Connected):
                assert result.early + step[at:] == early
                return
            assert isinstance(result, Send)
            sent += result.data
    raise AssertionError("never connected")


@pytest.mark.parametrize("code", range(1, 256))
def test_every_reply_code_is_named_in_the_refusal(code):
    for reply in (bytes((5, code)), bytes((5, code, 0, 1)) + bytes(6)):
        _, end = run(with_password(), b"\x05\x02", b"\x01\x00", reply)
        assert isinstance(end, Failed)
        assert end.stage is Stage.PROXY_REQUEST
        assert end.reason == f"reply {code} ({REPLIES.get(code, 'not assigned')})"


@pytest.mark.parametrize("status", range(1, 256))
def test_every_status_but_zero_is_a_refused_password(status):
    _, end = run(with_password(), b"\x05\x02", bytes((1, status)))
    reason = f"the proxy refused user name or password (status {status})"
    assert end == Failed(Stage.PROXY_AUTH, reason, said_no=True)


def test_a_proxy_that_wants_another_method_is_refused_at_authentication():
    _, end = run(with_password(), b"\x05\xff")
    words = "the proxy does not accept user name and password"
    assert end == Failed(Stage.PROXY_AUTH, words, said_no=True)
    _, end = run(Dialogue("203.0.113.10", 25), b"\x05\xff")
    words = "the proxy does not accept no authentication"
    assert end == Failed(Stage.PROXY_AUTH, words, said_no=True)


def test_a_proxy_that_skips_the_password_is_not_trusted():
    _, end = run(with_password(), b"\x05\x00")
    assert end == Failed(Stage.PROXY_AUTH, "the proxy chose method 0, not offered")


@pytest.mark.parametrize("words", [b"HTTP/1.1 400", b"\x04\x5a", b"220 smtp\r\n", b"\x00"])
def test_what_is_no_socks5_server_is_named_so(words):
    _, end = run(with_password(), words)
    assert isinstance(end, Failed)
    assert (end.stage, "does not speak SOCKS5" in end.reason) == (Stage.PROXY_CONNECT, True)


def test_an_unknown_address_type_ends_it():
    _, end = run(with_password(), b"\x05\x02", b"\x01\x00", b"\x05\x00\x00\x09" + bytes(6))
    assert end == Failed(Stage.PROXY_REQUEST, "the proxy's reply has address type 9")


def test_an_end_of_file_tells_how_far_it_came():
    dialogue = with_password()
    dialogue.start()
    assert dialogue.ended().stage is Stage.PROXY_CONNECT
    dialogue.feed(b"\x05\x02")
    assert dialogue.ended().stage is Stage.PROXY_AUTH
    assert not dialogue.requested
    dialogue.feed(b"\x01\x00")
    assert dialogue.ended().stage is Stage.PROXY_REQUEST
    assert dialogue.requested


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_garbage_never_raises_and_never_connects_without_a_success_reply(chunks):
    dialogue = with_password()
    dialogue.start()
    for chunk in chunks:
        result = dialogue.feed(chunk)
        if not isinstance(result, Send):
            if isinstance(result, Connected):
                assert b"\x05\x00" in b"".join(chunks)
            return
