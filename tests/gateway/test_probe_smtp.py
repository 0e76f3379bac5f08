"""The SMTP server that only takes probes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node_agent.gateway.probe_smtp import ProbeServer

SESSION = (
    b"EHLO mx.e1.test\r\n"
    b"MAIL FROM:<probe@e1.probe.postfleet.invalid>\r\n"
    b"RCPT TO:<probe-abc123@[198.18.255.254]>\r\n"
    b"DATA\r\n"
    b"Subject: probe\r\n\r\n..\r\n.\r\n"
    b"QUIT\r\n"
)


@given(st.data())
def test_a_probe_arrives_however_its_octets_are_cut(data):
    server, answers, at = ProbeServer(), b"", 0
    while at < len(SESSION):
        size = data.draw(st.integers(1, len(SESSION) - at))
        answers += server.feed(SESSION[at : at + size])
        at += size
    assert server.arrived == "probe-abc123"
    assert server.over
    codes = [line[:3] for line in answers.splitlines() if line[3:4] == b" "]
    assert codes == [b"250", b"250", b"250", b"354", b"250", b"221"]


def test_a_probe_that_was_not_finished_has_not_arrived():
    server = ProbeServer()
    server.feed(SESSION[: SESSION.index(b"\r\n.\r\n") + 3])
    assert server.arrived == ""


def test_data_without_a_recipient_is_refused():
    assert (
        ProbeServer()
        .feed(b"EHLO x\r\nMAIL FROM:<a@b>\r\nDATA\r\n")
        .endswith(b"503 5.5.1 RCPT first\r\n")
    )


@given(st.lists(st.binary(max_size=5000), max_size=40))
def test_garbage_neither_raises_nor_grows(chunks):
    server = ProbeServer()
    for chunk in chunks:
        server.feed(chunk)
        if server.over:
            break
        assert len(server._buffer) <= 2048
