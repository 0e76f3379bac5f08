"""Heaps of equal messages: none is lost, and those of one age go in proportion."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from controller.planner.boxes import Box
from controller.planner.lanes import PLAIN
from controller.planner.limits import Sender
from controller.planner.settings import week_of
from controller.simulation.mail import Letter, Mail

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BOX = Box(Sender("a@d.test", "e1", "d.test", "acme"), "A", week_of("UTC", ()))


def drained(mail: Mail) -> list[str]:
    """Providers of all messages, in the order in which they go."""
    order = []
    while mail.waiting:
        ((_, heads),) = mail.heads(BOX)
        order.append(heads[0].provider)
        mail.remove(heads[0])
    return order


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 400), min_size=1))
def test_at_any_time_each_provider_had_its_part(counts: dict[str, int]) -> None:
    mail = Mail()
    for provider, count in counts.items():
        mail.add(Letter(f"0000/0/{provider}", None, provider, NOON, lane=PLAIN), count)
    order, total = drained(mail), sum(counts.values())
    assert Counter(order) == counts
    so_far: Counter[str] = Counter()
    for number, provider in enumerate(order, 1):
        so_far[provider] += 1
        for each, count in counts.items():
            assert abs(so_far[each] - count * number / total) <= 34 * len(counts)


def test_a_few_of_many_are_a_fair_sample() -> None:
    mail = Mail()
    for provider, count in (("apple", 5_000), ("google", 40_000), ("yahoo", 5_000)):
        mail.add(Letter(f"0000/0/{provider}", None, provider, NOON, lane=PLAIN), count)
    taken: Counter[str] = Counter()
    for _ in range(20):
        ((_, heads),) = mail.heads(BOX)
        taken[heads[0].provider] += 1
        mail.remove(heads[0])
    assert taken == {"apple": 2, "google": 16, "yahoo": 2}


def test_what_came_first_goes_first_whatever_was_taken_of_it() -> None:
    mail = Mail()
    for hour, provider in ((12, "google"), (13, "apple")):
        at = NOON.replace(hour=hour)
        mail.add(Letter(f"0000/0/{provider}", None, provider, at, lane=PLAIN), 60)
    assert drained(mail) == ["google"] * 60 + ["apple"] * 60
