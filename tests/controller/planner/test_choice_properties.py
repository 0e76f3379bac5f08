"""Whatever waits and whatever binds: no cap is passed, what has room goes, shares are fair."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.planner.boxes import Box, Waiting
from controller.planner.calendar import HOUR
from controller.planner.limits import Caps, Limit
from inventory.schema import Limits
from tests.controller.planner.pulled import (
    NOON,
    WIDE,
    box,
    mail,
    pull,
)

NAMES = [f"{letter}@d.test" for letter in "abcdef"]
some_boxes = st.lists(
    st.builds(box, st.sampled_from("abcdef"), st.sampled_from(["e1", "e2", "e3"])),
    max_size=6,
    unique_by=lambda b: b.address,
)
some_limits = st.builds(
    Limits,
    mailbox_per_hour=st.integers(0, 5),
    mailbox_per_day=st.integers(0, 5),
    egress_per_hour=st.integers(0, 9),
    egress_per_day=st.integers(0, 9),
    domain_per_day=st.integers(0, 20),
    domain_provider_per_day=st.integers(0, 12),
    provider_egress_per_hour=st.integers(0, 6),
    client_per_day=st.none() | st.integers(0, 20),
)
some_messages = st.lists(
    st.tuples(st.none() | st.sampled_from([*NAMES, "gone@d.test"]),
              st.sampled_from(["google", "yahoo"])),
    max_size=60,
).map(lambda a: [Waiting(f"{n:04}", m, p, NOON - HOUR) for n, (m, p) in enumerate(a)])  # fmt: skip


@settings(deadline=None)
@given(some_boxes, some_limits, some_messages)
def test_no_cap_is_passed_and_each_message_goes_once_where_it_may(
    boxes: list[Box], limits: Limits, waiting: list[Waiting]
) -> None:
    choice = pull(boxes, waiting, limits)
    caps = Caps.of(limits)
    charged = Counter(account for a in choice.assignments for account in a.accounts())
    assert all(count <= caps.cap(account) for account, count in charged.items())
    ids = [a.message.id for a in choice.assignments]
    assert len(ids) == len(set(ids))
    known = {b.address for b in boxes}
    for each in choice.assignments:
        assert each.sender.mailbox in known
        assert each.message.mailbox in (None, each.sender.mailbox)


@settings(deadline=None)
@given(some_boxes, some_limits, some_messages)
def test_what_has_room_goes_and_what_has_none_is_held(
    boxes: list[Box], limits: Limits, waiting: list[Waiting]
) -> None:
    choice = pull(boxes, waiting, limits)
    gone = {a.message.id for a in choice.assignments}
    for message in waiting:
        if message.id in gone:
            continue
        for each in boxes:
            if message.mailbox in (None, each.address):
                assert choice.slots[each.address].held.startswith("cap: ")


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 100), st.data())
def test_mailboxes_that_may_send_the_same_get_the_same(
    count: int, messages: int, data: st.DataObject
) -> None:
    boxes = [box(name) for name in "abcdef"[:count]]
    order = data.draw(st.permutations(boxes))
    counts = Counter(a.sender.mailbox for a in pull(order, mail(messages)).assignments)
    shares = [counts[b.address] for b in boxes]
    assert sum(shares) == min(messages, 50 * count)
    assert max(shares) - min(shares) <= 1


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 200))
def test_shares_are_as_allowances_within_one_message(caps: list[int], messages: int) -> None:
    boxes = [box(name) for name in "abcdef"[: len(caps)]]
    special = {(Limit.MAILBOX_DAY, b.address): cap for b, cap in zip(boxes, caps, strict=True)}
    choice = pull(boxes, mail(messages), WIDE, special=special)
    counts = Counter(a.sender.mailbox for a in choice.assignments)
    gone = sum(counts.values())
    assert gone == min(messages, sum(caps))
    for each, cap in zip(boxes, caps, strict=True):
        assert abs(counts[each.address] - gone * cap / sum(caps)) <= len(caps)


@given(st.integers(1, 400), st.integers(1, 30))
def test_ten_for_one_mailbox_are_not_behind_a_flood_for_any(flood: int, own: int) -> None:
    """The flood is older; the mailbox's own mail goes as its slots come, at the latest after it."""
    later = [Waiting(f"z{n:03}", "a@d.test", "yahoo", NOON) for n in range(own)]
    choice = pull([box(name) for name in "abcdef"], [*mail(flood), *later])
    gone = [a.message.id for a in choice.assignments if a.message.id.startswith("z")]
    room = 300 - flood
    assert len(gone) >= min(own, 50, max(0, room) // 6)
