"""Messages survive the stream, however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.local.errors import Malformed
from node_agent.local.framing import MAX_MESSAGE_OCTETS, Deframer, frame


@given(messages=st.lists(st.binary(max_size=300), max_size=6), cuts=st.data())
def test_messages_come_out_as_they_went_in_however_the_stream_is_cut(messages, cuts):
    stream = b"".join(frame(message) for message in messages)
    deframer, out, at = Deframer(), [], 0
    while at < len(stream):
        step = cuts.draw(st.integers(1, len(stream) - at))
        out += deframer.feed(stream[at : at + step])
        at += step
    assert out == messages
    assert deframer.pending_octets == 0


def test_a_message_above_the_limit_is_neither_sent_nor_stored():
    with pytest.raises(Malformed, match="does not fit"):
        frame(bytes(MAX_MESSAGE_OCTETS + 1))
    with pytest.raises(Malformed, match="does not speak this protocol"):
        Deframer().feed(b"GET / HTTP/1.1\r\n")


def test_a_message_of_exactly_the_limit_passes():
    assert Deframer().feed(frame(bytes(MAX_MESSAGE_OCTETS))) == [bytes(MAX_MESSAGE_OCTETS)]


def test_a_cut_message_shows_as_pending():
    deframer = Deframer()
    assert deframer.feed(frame(b"abc")[:-1]) == []
    assert deframer.pending_octets == 6
