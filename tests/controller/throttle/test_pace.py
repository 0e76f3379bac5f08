"""A slowed pair: never faster by a refusal, twice as fast by a quiet hour, never at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from controller.store import Store, queries
from controller.throttle.pace import (
    LEAST_PER_HOUR,
    QUIET,
    REST_HOURS,
    SETTLE,
    Slowed,
    is_free,
    rate,
    slower,
    starting,
)
from tests.controller.small_fleet import sql

T0 = datetime(2026, 3, 1, tzinfo=UTC)
RATES = st.floats(0.1, 1000)
GAPS = st.integers(0, 5 * 3600).map(lambda s: timedelta(seconds=s))


def test_a_pair_recovers_step_by_step() -> None:
    pair = slower(None, 20, T0)
    hours = [rate(pair, T0 + n * QUIET) for n in range(5)]
    assert hours == [20, 40, 80, 160, 320]
    assert rate(pair, T0 + QUIET - timedelta(seconds=1)) == 20
    assert not is_free(pair, T0 + 4 * QUIET, 500)
    assert is_free(pair, T0 + 5 * QUIET, 500)


def test_a_burst_of_refusals_lowers_once() -> None:
    pair = slower(None, 20, T0)
    for seconds in range(0, int(SETTLE.total_seconds()), 30):
        pair = slower(pair, 20, T0 + timedelta(seconds=seconds))
    assert pair.per_hour == 20


def test_refusals_that_go_on_halve_what_holds() -> None:
    pair = slower(slower(None, 20, T0), 20, T0 + SETTLE)
    assert pair.per_hour == 10
    assert slower(pair, 20, T0 + 2 * SETTLE).per_hour == 5


def test_a_refusal_on_the_way_up_goes_back_to_what_the_rule_says() -> None:
    assert slower(slower(None, 20, T0), 20, T0 + 3 * QUIET).per_hour == 20


def test_it_rests_below_what_was_refused_and_then_tries_it_again() -> None:
    pair = slower(slower(None, 4, T0), 4, T0 + 3 * QUIET)
    assert (pair.per_hour, pair.ceiling) == (4, 32)
    hours = [rate(pair, pair.since + n * QUIET) for n in range(2 + REST_HOURS + 3)]
    assert hours == [4, 8, *[16] * (REST_HOURS + 1), 32, 64]


def test_a_limit_that_does_not_change_is_met_once_in_a_rest() -> None:
    takes, pair, refusals = 5, slower(None, 20, T0), 0
    for half_hour in range(2 * 70):
        now = T0 + half_hour * QUIET / 2
        if rate(pair, now) > takes:
            pair, refusals = slower(pair, 20, now), refusals + 1
        assert half_hour < 12 or rate(pair, now) > takes / 2.1
    # 20, 10, then 5 is kept for a rest before 10 is tried.
    assert refusals <= 2 + 70 / (REST_HOURS + 1)


def test_what_was_under_way_is_no_new_ceiling() -> None:
    pair = slower(slower(None, 20, T0), 20, T0 + SETTLE)
    assert (pair.per_hour, pair.ceiling) == (10, 20)
    assert slower(pair, 20, pair.since + SETTLE / 2).ceiling == 20
    stopped = starting(pair, 4, pair.since + QUIET, pair.since + SETTLE / 2)
    assert (stopped.per_hour, stopped.ceiling) == (4, 20)


def test_after_a_suspension_it_starts_below_what_was_refused() -> None:
    pair = Slowed(3, T0, T0, 6)
    stopped = starting(pair, 4, T0 + 4 * QUIET, T0 + QUIET / 2)
    assert (stopped.per_hour, stopped.ceiling) == (1.5, 3)
    assert starting(Slowed(1, T0, T0), 4, T0 + QUIET, T0 + QUIET / 2).per_hour == LEAST_PER_HOUR


def test_after_a_suspension_it_starts_at_the_bottom() -> None:
    end = T0 + timedelta(hours=4)
    pair = starting(None, 4, end)
    assert rate(pair, T0) == rate(pair, end) == 4
    assert rate(pair, end + QUIET) == 8
    assert not is_free(pair, T0, 1)


@given(st.lists(st.tuples(GAPS, RATES), min_size=1, max_size=12), GAPS)
def test_no_refusal_makes_it_faster(
    refusals: list[tuple[timedelta, float]], wait: timedelta
) -> None:
    now, pair = T0, None
    for gap, wanted in refusals:
        now += gap
        before = rate(pair, now) if pair else float("inf")
        pair = slower(pair, wanted, now)
        assert rate(pair, now) <= before
        assert rate(pair, now) <= max(LEAST_PER_HOUR, wanted)
        assert pair.per_hour >= LEAST_PER_HOUR
    assert pair is not None
    later = now + wait
    assert rate(pair, now) <= rate(pair, later)
    assert rate(pair, later) <= rate(pair, now) * 2 ** (wait // QUIET)
    if wait < REST_HOURS * QUIET:
        assert rate(pair, later) < max(pair.ceiling, rate(pair, now) + 1)


@given(st.lists(st.tuples(GAPS, RATES), min_size=2, max_size=8), st.randoms())
def test_reports_out_of_order_never_make_it_faster(
    refusals: list[tuple[timedelta, float]], random: object
) -> None:
    moments = [(T0 + gap, wanted) for gap, wanted in refusals]
    random.shuffle(moments)  # type: ignore[attr-defined]
    pair: Slowed | None = None
    for at, wanted in moments:
        before = rate(pair, max(at, pair.since)) if pair else float("inf")
        pair = slower(pair, wanted, at)
        assert pair.per_hour <= before


@given(RATES, st.floats(1, 10_000), st.floats(1, 1000) | st.just(inf))
def test_every_pair_becomes_free(start: float, free: float, ceiling: float) -> None:
    pair = Slowed(max(LEAST_PER_HOUR, start), T0, T0, ceiling)
    assert is_free(pair, T0 + (15 + REST_HOURS) * QUIET, free)


async def test_the_database_reckons_the_same(store: Store) -> None:
    now = await store.fetch_value(sql("SELECT now()"))
    ages_s = [-7200, -1, 0, 1800, 3590, 3610, 7190, 7210, 25_210, 28_810, 36_000, 10**7]
    ceilings = [inf, 1.0, 20.0, 20.5, 40.0, 41.0, 80.0, 100.0, 1e6]
    pairs = {
        f"{age_s} {ceiling}": Slowed(20, since := now - timedelta(seconds=age_s), since, ceiling)
        for age_s in ages_s
        for ceiling in ceilings
    }
    for subject, pair in pairs.items():
        await store.execute(
            sql("INSERT INTO slow_down (scope, provider, subject, per_hour, since, lowered_at,"
                " ceiling, rule, reason) VALUES ('provider-egress', 'google', %(subject)s,"
                " %(per_hour)s, %(since)s, %(since)s, %(ceiling)s, 'r', 'w')"),
            subject=subject, per_hour=pair.per_hour, since=pair.since, ceiling=pair.ceiling,
        )  # fmt: skip
    limits = queries.load("planner")["receivers_limits"]
    rows = await store.fetch_all(limits, egress_ids=list(pairs), domains=[])
    at = await store.fetch_value(sql("SELECT now()"))
    assert len(rows) == len(pairs)
    for row in rows:
        pair = pairs[row["subject"]]
        assert row["per_hour"] == min(1_000_000, int(rate(pair, at))), row
        changes_at, moment = row["changes_at"], timedelta(milliseconds=1)
        assert changes_at > at
        if rate(pair, at) < pair.per_hour * 2**29:
            assert rate(pair, changes_at) == 2 * rate(pair, at), row
        assert rate(pair, changes_at - moment) == rate(pair, at), row


async def test_a_suspended_pair_may_send_nothing(store: Store) -> None:
    for subject, until in (("google/px1", "now() + interval '1 h'"), ("google/px2", "now()"),
                           ("yahoo/px1", "NULL")):  # fmt: skip
        await store.execute(
            sql("INSERT INTO suspension (scope, subject, source, reason, until) VALUES"
                f" ('provider-egress', '{subject}', 'shaping', 'w', {until})")
        )  # fmt: skip
    rows = await store.fetch_all(sql("SELECT provider, subject, per_hour FROM rate_limit"))
    assert sorted((r["provider"], r["subject"], r["per_hour"]) for r in rows) == [
        ("google", "px1", 0), ("yahoo", "px1", 0)
    ]  # fmt: skip
