"""Warm-ups rise evenly, one day at a time, only with real mail, and never jump."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.loops.warming import Warming
from controller.planner.cycle import Planner
from controller.planner.warm_up import STEP_BACK_DAYS, Signal, allowance, judge
from controller.store import Store
from inventory.schema import Fleet
from inventory.warm_up import WarmUp, curve_points
from tests.controller.planner.planned import submit, used
from tests.controller.warm_up.fast_days import set_warm_up

DEFAULT = curve_points(WarmUp().mailbox)
curves = st.lists(
    st.tuples(st.integers(1, 60), st.integers(1, 30)), min_size=1, max_size=6
).map(lambda steps: _rising([(1, steps[0][1]), *steps[1:]]))  # fmt: skip


def _rising(steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    points = [steps[0]]
    for days, messages in steps[1:]:
        points.append((points[-1][0] + days, points[-1][1] + messages))
    return points


@given(curves, st.integers(1, 500))
def test_an_allowance_never_falls_and_grows_in_no_step_beyond_the_steepest(
    curve: list[tuple[int, int]], day: int
) -> None:
    now, then = allowance(curve, day), allowance(curve, day + 1)
    steepest = max((b[1] - a[1] for a, b in pairwise(curve)), default=0)
    assert now <= then <= now + max(steepest, 1 + now // 10)
    for point in curve:
        assert allowance(curve, point[0]) == point[1]


def test_the_shipped_curve_is_the_one_of_35_days() -> None:
    days = [allowance(DEFAULT, day) for day in range(1, 36)]
    assert min(days[:14]) == 5
    assert max(days[:14]) == 10
    assert days[16:28] == sorted(days[16:28])
    assert (days[16], days[27], days[34]) == (20, 35, 50)
    assert all(after <= before + 4 for before, after in pairwise(days))


@given(
    curves,
    st.integers(1, 200),
    st.lists(st.tuples(st.booleans(), st.sampled_from(Signal)), max_size=120),
)
def test_whatever_happens_no_day_allows_more_than_the_next_step(
    curve: list[tuple[int, int]], limit: int, history: list[tuple[bool, Signal]]
) -> None:
    day, most = 1, min(limit, allowance(curve, 1))
    for sent, signal in history:
        judged = judge(curve, day, limit, sent=sent, signal=signal)
        if judged.over:
            # Graduation: what held yesterday was the limit that holds from now on.
            assert allowance(curve, day) >= limit
            assert sent
            return
        assert judged.day - day in {1, 0} or signal is Signal.BACK
        if not sent or signal is Signal.FREEZE:
            assert judged.day <= day
        if signal is Signal.BACK:
            assert judged.day == max(1, day - STEP_BACK_DAYS)
        after = min(limit, allowance(curve, judged.day))
        assert after <= most or after <= allowance(curve, day + 1)
        day, most = judged.day, after


def test_with_mail_on_every_day_every_warm_up_ends() -> None:
    for limit in (10, 50, 80):
        day, days = 1, 0
        while True:
            days += 1
            assert days < 200
            judged = judge(DEFAULT, day, limit, sent=True, signal=Signal.NONE)
            if judged.over:
                break
            day = judged.day
        assert judged.over
        assert days >= 35
        assert limit <= 50 or allowance(DEFAULT, day - 1) < limit


@pytest.mark.parametrize("text", ["2:5 14:10", "1:5 14:4", "1:5 1:6", "1:5 9:6 8:7"])
def test_a_curve_that_falls_or_does_not_begin_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="must begin with day 1"):
        curve_points(text)


# --- in the database ------------------------------------------------------------------------------

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def run(database: str, sql: str, *parameters: object) -> list[Any]:
    with psycopg.connect(database) as connection:
        cursor = connection.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def address(database: str, make_fleet: Callable[..., list[str]]) -> str:
    """A mailbox that is to warm up."""
    (address,) = make_fleet("acme", mailboxes=1, egresses=1)
    run(database, "UPDATE mailbox SET state = 'warming', warming = 'true'")
    return address


async def warm(store: Store, now: datetime) -> str:
    return await Warming(store, lambda: now).run_cycle()


def day_of(database: str) -> int:
    return int(run(database, "SELECT day FROM warm_up")[0][0])


async def test_a_warming_mailbox_sends_what_its_curve_allows_from_the_first_minute(
    store: Store, database: str, address: str
) -> None:
    set_warm_up(database, internal_days=0)
    await submit(store, "acme", 30)
    await Planner(store, 500, lambda: MONDAY).run_cycle()
    assert used(database, "mailbox") == {address: 5}
    assert await warm(store, MONDAY) == "began 1 warm-ups, judged a day of 0"
    assert await warm(store, MONDAY) == "no warm-up has a day to judge"


async def test_only_days_with_mail_count_and_several_at_once_count_as_one(
    store: Store, database: str, address: str
) -> None:
    await warm(store, MONDAY)
    await warm(store, MONDAY + DAY)
    assert day_of(database) == 1
    for sent in (1, 2, 3):
        run(database, "INSERT INTO warm_up_sent VALUES ('mailbox', %s, %s)",
            address, (MONDAY + sent * DAY).date())  # fmt: skip
    await warm(store, MONDAY + 4 * DAY)
    assert day_of(database) == 2
    await warm(store, MONDAY + 5 * DAY)
    assert day_of(database) == 2
    ((subject, evidence),) = run(
        database, "SELECT subject, evidence FROM audit WHERE action = 'move-warm-up'"
    )
    assert subject == f"mailbox/{address}"
    assert evidence["day"] == {"before": 1, "now": 2}


async def test_a_bad_signal_steps_back_once_and_a_freeze_holds(
    store: Store, database: str, address: str
) -> None:
    await warm(store, MONDAY)
    run(database, "UPDATE warm_up SET day = 12, signal = 'back', signal_reason = '3 complaints'")
    run(database, "INSERT INTO warm_up_sent VALUES ('mailbox', %s, %s)", address, MONDAY.date())
    await warm(store, MONDAY + DAY)
    assert run(database, "SELECT day, signal FROM warm_up") == [(12 - STEP_BACK_DAYS, "")]
    run(database, "UPDATE warm_up SET signal = 'freeze'")
    run(database, "INSERT INTO warm_up_sent VALUES ('mailbox', %s, %s)",
        address, (MONDAY + DAY).date())  # fmt: skip
    await warm(store, MONDAY + 2 * DAY)
    assert run(database, "SELECT day, signal FROM warm_up") == [(5, "freeze")]
    reasons = run(database, "SELECT reason FROM audit WHERE action = 'move-warm-up'")
    assert reasons == [("it steps back on a bad signal: 3 complaints",)]


async def test_the_end_is_audited_and_moves_of_the_mailbox_change_nothing(
    store: Store, database: str, address: str
) -> None:
    await warm(store, MONDAY)
    run(database, "UPDATE warm_up SET day = 35")
    run(database, "INSERT INTO warm_up_sent VALUES ('mailbox', %s, %s)", address, MONDAY.date())
    run(
        database,
        "INSERT INTO egress (id, client_id, public_ip, helo_name, kind, surrogate_index)"
        " VALUES ('new', 'acme', '192.0.2.9', 'new.test', 'socks5', 999)",
    )
    run(database, "UPDATE mailbox SET egress_id = 'new'")
    await warm(store, MONDAY + DAY)
    assert run(database, "SELECT state FROM mailbox") == [("active",)]
    await warm(store, MONDAY + DAY)
    assert run(database, "SELECT count(*) FROM warm_up") == [(0,)]
    assert run(database, "SELECT action FROM audit ORDER BY id") == [
        ("begin-warm-up",), ("end-warm-up",)
    ]  # fmt: skip


async def test_one_that_began_elsewhere_goes_on_where_it_would_be(
    store: Store, database: str, address: str
) -> None:
    since = (MONDAY - 9 * DAY).date()
    assert since == date(2026, 11, 14)
    run(database, "UPDATE mailbox SET warming = %s", since.isoformat())
    await warm(store, MONDAY)
    assert day_of(database) == 10


def test_the_defaults_are_valid_and_reach_the_limits() -> None:
    limits = Fleet(name="x").limits
    assert DEFAULT[-1][1] == limits.mailbox_per_day
    assert curve_points(WarmUp().egress)[-1][1] == limits.egress_per_day
