"""A slowed pair: never faster by a refusal, twice as fast by a quiet hour, never at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from controller.store import Store
from controller.throttle.pace import (
    LEAST_PER_HOUR,
    QUIET,
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
    assert rate(pair, later) == rate(pair, now) * 2 ** (wait // QUIET)


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


@given(RATES, st.floats(1, 10_000))
def test_every_pair_becomes_free(start: float, free: float) -> None:
    pair = slower(None, start, T0)
    assert is_free(pair, T0 + 15 * QUIET, free)


async def test_the_database_reckons_the_same(store: Store) -> None:
    now = await store.fetch_value(sql("SELECT now()"))
    ages_s = [-7200, -1, 0, 1800, 3590, 3610, 7190, 7210, 36_000, 10**7]
    for n, age_s in enumerate(ages_s):
        await store.execute(
            sql("INSERT INTO slow_down (scope, provider, subject, per_hour, since, lowered_at,"
                " rule, reason) VALUES ('provider-egress', 'google', %(n)s, 20, %(since)s,"
                " %(since)s, 'r', 'w')"),
            n=str(n), since=now - timedelta(seconds=age_s),
        )  # fmt: skip
    rows = await store.fetch_all(sql("SELECT subject, per_hour, now() AS now FROM rate_limit"))
    assert len(rows) == len(ages_s)
    for row in rows:
        since = now - timedelta(seconds=ages_s[int(row["subject"])])
        assert row["per_hour"] == rate(Slowed(20, since, since), row["now"])


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
