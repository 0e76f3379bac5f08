"""Ids of messages."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.message_id import (
    MalformedMessageId,
    MessageIds,
    created_ms,
    decode,
    encode,
    new_message_id,
    parse,
)


def test_ids_of_a_process_rise_and_differ() -> None:
    made = [new_message_id() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(re.fullmatch("[0-9a-v]{26}", one) for one in made)


@given(st.lists(st.integers(0, 2**48 - 2), min_size=2, max_size=50))
def test_ids_rise_whatever_the_clock_does(times_ms: list[int]) -> None:
    ids = MessageIds()
    made = [ids.next(now_ms) for now_ms in times_ms]
    assert made == sorted(set(made))


@given(st.integers(0, 2**48 - 1))
def test_an_id_tells_when_it_was_made(now_ms: int) -> None:
    assert created_ms(MessageIds().next(now_ms)) == now_ms


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_ids_sort_as_their_numbers_and_come_back(one: int, two: int) -> None:
    assert decode(encode(one)) == one
    assert (encode(one) < encode(two)) == (one < two)


@given(st.text(max_size=30) | st.text("0123456789abcdefghijklmnopqrstuv", min_size=26, max_size=26))
def test_only_one_spelling_is_an_id(text: str) -> None:
    try:
        assert parse(text) == text
    except MalformedMessageId:
        assert not re.fullmatch("[0-9a-v]{25}[048cgkos]", text)


@pytest.mark.parametrize("text", ["", "0" * 25, "0" * 27, "0" * 25 + "1", "0" * 25 + "w", "A" * 26])
def test_malformed_ids_are_refused(text: str) -> None:
    with pytest.raises(MalformedMessageId):
        parse(text)
