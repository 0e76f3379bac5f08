"""Which messages the guard holds, without a machine: queue files, senders, connections."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.apply import queue_file
from node_agent.apply.queue_file import QueueFile, UnreadableError
from node_agent.apply.suspects import Risk, Senders, why_held

TOKEN = "0123456789abcdefghijklmnop"
SENDERS = Senders({"m1@a.test": frozenset({"px001"}), "m2@a.test": frozenset({"px001", "px002"})})
ENDED = "Postfix was killed"


def record(kind: str, value: str) -> bytes:
    data = value.encode()
    length = len(data)
    head = b""
    while True:
        head += bytes([length & 0x7F | (0x80 if length > 0x7F else 0)])
        length >>= 7
        if not length:
            return kind.encode() + head + data


def file(*recipients: str, sender: str = "m1@a.test", size: int = 4000) -> bytes:
    return b"".join(
        [
            record("C", f"{size:15} {600:15} {len(recipients):15} {0:15} {size:15} {0:15}"),
            record("T", "1764090000 1"),
            record("A", "log_message_origin=x" * 20),
            record("S", sender),
            *(record(one[0], one[1:]) for one in recipients),
            record("M", ""),
            record("N", "Rcontent that looks like a recipient"),
        ]
    )


def message(
    sender: str = f"m1+{TOKEN}@a.test", size: int = 4000, *, done: bool = False
) -> QueueFile:
    return QueueFile(sender, size, done)


def test_the_envelope_of_a_queue_file_is_read() -> None:
    parse = queue_file.parse
    assert parse(file("Rx@b.test")) == QueueFile("m1@a.test", 4000, done=False)
    assert parse(file("Dx@b.test")).done
    assert not parse(file("Dx@b.test", "Ry@b.test")).done
    assert parse(file("Rx@b.test", sender="")).sender == ""


@pytest.mark.parametrize(
    "data",
    [b"", b"C", b"C\x80", b"C\x05ab", file()[:40], file("p900", "Rx@b.test"), record("M", "")],
)
def test_what_is_damaged_is_said_to_be(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        queue_file.parse(data)


@given(st.binary(max_size=300))
def test_no_octets_break_the_reader(data: bytes) -> None:
    with contextlib.suppress(UnreadableError):
        queue_file.parse(data)


def test_a_message_is_held_when_its_egress_had_a_connection_and_only_then() -> None:
    risk = {"px001": Risk(2, 5000)}
    assert why_held(message(), SENDERS, risk, ENDED) == (
        "Postfix was killed while 2 connections were open for egress px001 and had carried up to "
        "5000 octets: maybe sent"
    )
    assert why_held(message("M1@A.test"), SENDERS, risk, ENDED)
    assert why_held(message(), SENDERS, {"px002": Risk(2, 5000)}, ENDED) is None
    assert why_held(message(), SENDERS, {}, ENDED) is None
    assert why_held(message("m2@a.test"), SENDERS, {"px002": Risk()}, ENDED) == (
        "Postfix was killed while a connection of egress px002 may have been open: maybe sent"
    )


def test_a_message_that_is_longer_than_what_went_out_was_not_sent() -> None:
    risk = {"px001": Risk(1, 5000)}
    assert why_held(message(size=10_000), SENDERS, risk, ENDED) is None
    assert why_held(message(size=6_000), SENDERS, risk, ENDED)
    assert why_held(message(size=10_000), SENDERS, {"px001": Risk.told(1, 2**62)}, ENDED)


def test_what_nobody_can_receive_twice_is_let_go() -> None:
    risk = {"px001": Risk(1, 5000)}
    assert why_held(message(done=True), SENDERS, risk, ENDED) is None
    assert why_held(message(""), SENDERS, risk, ENDED) is None
    assert why_held(message("probe@px001.probe.postfleet.invalid"), SENDERS, risk, ENDED) is None


def test_who_is_unknown_may_have_used_any_egress() -> None:
    assert why_held(message("gone@a.test"), SENDERS, {"px009": Risk(1, 5000)}, ENDED)
    assert why_held(None, SENDERS, {"px009": Risk(1, 5000)}, ENDED)
    assert why_held(None, SENDERS, {}, ENDED) is None
