"""When a campaign is through: by hand, and what must hold of every forecast."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.forecast import causes
from controller.forecast.situation import Heap, Sending, Warming
from tests.controller.forecast.situations import (
    MONDAY,
    WORK,
    boxes,
    days_of,
    forecast,
    on,
    situation,
)


def test_two_mailboxes_of_ten_a_day_need_three_days_for_forty_five() -> None:
    found = forecast(situation(boxes(2), 45, mailbox_per_day=10))
    assert days_of(found) == [(on(0), 20), (on(1), 20), (on(2), 5)]
    assert found.left == 0
    assert found.finished[0].date() == on(2)


def test_a_weekend_lies_between() -> None:
    found = forecast(situation(boxes(1), 60, mailbox_per_day=10))
    assert days_of(found) == [(on(n), 10) for n in (0, 1, 2, 3, 4, 7)]


def test_follow_ups_go_days_later_from_the_mailbox_that_began_and_take_its_day() -> None:
    found = forecast(situation(boxes(2), 20, delays=[1, 2], mailbox_per_day=10))
    assert days_of(found) == [(on(0), 20)]
    assert sum(count for _, count in days_of(found, 1)) == 20
    assert sum(count for _, count in days_of(found, 2)) == 20
    assert min(day for day, _ in days_of(found, 1)) == on(1)
    assert min(day for day, _ in days_of(found, 2)) >= on(3)
    assert found.left == 0


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"mailbox_per_day": 5}, causes.PACE),
        ({"burst": 3}, causes.BURST),
        ({"windows": ("tue 10:00-12:00",)}, causes.WINDOWS),
        ({"client_per_day": 4}, "cap: client has used its 4 messages of the day"),
        ({"egress_per_day": 3}, "cap: egress has used its 3 messages of the day"),
        ({"domain_provider_per_day": 2},
         "cap: domain has used its 2 messages of the day to google"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_what_limits_it_is_named(given: dict[str, object], cause: str) -> None:
    found = forecast(situation(boxes(4, ()), 400, **given), 10)  # type: ignore[arg-type]
    assert found.causes.most_common(1)[0][0] == cause
    assert causes.change_of(cause)


def test_it_never_ends_where_nobody_may_send_and_says_so() -> None:
    nobody = [Sending(each.box, None) for each in boxes(2)]
    found = forecast(situation(nobody, 5))
    assert found.left == 5
    assert list(found.causes) == [causes.NOBODY]
    assert not found.days


def test_a_stop_that_ends_by_itself_is_waited_for() -> None:
    later = [Sending(each.box, MONDAY + timedelta(days=2)) for each in boxes(2)]
    assert days_of(forecast(situation(later, 6))) == [(on(2), 6)]


def test_only_the_pool_sends_it() -> None:
    of = situation(boxes(4), 25, pool=["m1@a.test"], mailbox_per_day=10)
    assert days_of(forecast(of)) == [(on(0), 10), (on(1), 10), (on(2), 5)]


def test_a_warming_mailbox_sends_what_its_curve_admits_and_nothing_on_internal_days() -> None:
    """Day 14 is the last internal one; then the curve rises by a day with each day of mail."""
    warming = [Warming("mailbox", "m0@a.test", "", ZoneInfo("UTC"), 14)]
    of = situation(boxes(1, (), internal=True), 60, warming=warming)
    found = days_of(forecast(of))
    assert found[0][0] == on(1)
    counts = [count for _, count in found]
    assert counts[:-1] == sorted(counts[:-1])
    assert counts[0] < counts[-2]


def test_other_mail_of_the_client_takes_its_share() -> None:
    alone = forecast(situation(boxes(1), 20, mailbox_per_day=10))
    others = [Heap("", 0, "", "google", None, MONDAY, 20)]
    shared = forecast(situation(boxes(1), 20, mailbox_per_day=10, others=others))
    assert shared.finished[0] > alone.finished[0]
    assert shared.left == 0


_CAPS = st.integers(1, 12)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 6), st.integers(1, 80), _CAPS, _CAPS, _CAPS, st.lists(st.integers(1, 3),
       max_size=2), st.sampled_from([(), WORK]))  # fmt: skip
def test_no_day_has_more_than_the_limits_admit_and_more_room_never_takes_longer(
    mailboxes: int, messages: int, per_mailbox: int, per_egress: int, per_client: int,
    delays: list[int], windows: tuple[str, ...],
) -> None:  # fmt: skip
    of = situation(
        boxes(mailboxes, windows), messages, delays=delays, mailbox_per_day=per_mailbox,
        egress_per_day=2 * per_egress, client_per_day=4 * per_client,
    )  # fmt: skip
    found = forecast(of)
    egresses = min(2, mailboxes)
    most = min(mailboxes * per_mailbox, egresses * 2 * per_egress, 4 * per_client)
    for day in {day for day, _ in found.days}:
        assert sum(count for (each, _), count in found.days.items() if each == day) <= most
    whole = messages * (1 + len(delays))
    # What has not begun is not counted as left.
    assert sum(found.days.values()) + found.left <= whole
    if not found.left:
        assert sum(found.days.values()) == whole
        wider = situation(
            boxes(mailboxes, windows), messages, delays=delays, mailbox_per_day=4 * per_mailbox,
            egress_per_day=8 * per_egress, client_per_day=16 * per_client,
        )  # fmt: skip
        sooner = forecast(wider)
        assert max(sooner.finished.values()).date() <= max(found.finished.values()).date()
