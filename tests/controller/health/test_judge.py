"""Verdicts: never better for bad events, never from a handful, never to and fro."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.health.bands import Band, Standing
from controller.health.counts import BLOCKED, COMPLAINT, REPLY, SENT, Counts, Window, bounced
from controller.health.judge import Evidence, Verdict, Votes, judge
from controller.health.rates import percent
from controller.health.score import severity
from controller.replies import Scope
from inventory.health import Health
from tests.controller.health.health_strategies import bad, counts_of, events, windows, with_more

NOW = datetime(2026, 11, 3, 9, tzinfo=UTC)
HEALTH = Health()
GOOD = Standing(Band.GOOD, NOW - timedelta(days=100))
GONE = bounced(Scope.RECIPIENT)
DAY = timedelta(days=1)


def of(
    counts: Counts,
    was: Standing = GOOD,
    at: datetime = NOW,
    by_provider: dict[str, Counts] | None = None,
    **more: object,
) -> Verdict:
    evidence = Evidence(counts, by_provider or {}, **more)  # type: ignore[arg-type]
    return judge(at, was, evidence, HEALTH)


def recent(**numbers: int) -> Counts:
    return counts_of((kind, Window.DAY, number) for kind, number in numbers.items())


def sent(number: int, bad_kind: str, bad_number: int, ago: Window = Window.DAY) -> Counts:
    return counts_of([(SENT, ago, number), (bad_kind, ago, bad_number)])


@given(events, bad, windows)
def test_one_more_bad_event_never_makes_anything_better(some, kind, ago) -> None:
    counts = counts_of(some)
    before, after = of(counts), of(with_more(counts, kind, ago))
    assert after.calls.reached >= before.calls.reached
    assert after.calls.holds >= before.calls.holds
    assert after.standing.band >= before.standing.band
    assert after.score.value <= before.score.value + 1e-9


@given(events, windows)
def test_a_reply_never_makes_anything_worse(some, ago) -> None:
    counts = counts_of(some)
    before, after = of(counts), of(with_more(counts, REPLY, ago))
    assert after.standing.band == before.standing.band
    assert after.score.value >= before.score.value - 1e-9


@given(st.lists(bad, max_size=HEALTH.min_messages - 1), st.integers(0, 19))
def test_a_handful_of_messages_leads_to_no_verdict(kinds, sent_ones) -> None:
    sent_ones = min(sent_ones, HEALTH.min_messages - 1 - len(kinds))
    counts = counts_of([(SENT, Window.HOUR, sent_ones), *((k, Window.HOUR, 1) for k in kinds)])
    verdict = of(counts)
    assert verdict.standing is GOOD
    assert verdict.calls.reached is Band.GOOD


def test_one_bounce_in_three_is_no_third() -> None:
    verdict = of(sent(2, GONE, 1))
    assert verdict.standing is GOOD
    assert verdict.score.value > 75
    (part,) = [part for part in verdict.score.parts if part.name == "bounces"]
    assert part.words.startswith("1 bounces of 3 in 1d: 1.9 % (0.")


@pytest.mark.parametrize(
    ("counts", "band"),
    [
        (sent(350, COMPLAINT, 0, Window.WEEK), Band.GOOD),
        (sent(50, COMPLAINT, 1, Window.WEEK), Band.GOOD),
        (sent(350, COMPLAINT, 2, Window.WEEK), Band.SLOWED),
        (sent(350, COMPLAINT, 3, Window.WEEK), Band.PAUSED),
        (sent(350, COMPLAINT, 8, Window.WEEK), Band.QUARANTINED),
        (sent(1500, COMPLAINT, 1, Window.MONTH), Band.GOOD),
        (sent(100_000, COMPLAINT, 20, Window.MONTH), Band.GOOD),
        (sent(100_000, COMPLAINT, 45, Window.MONTH), Band.WATCH),
        (sent(100_000, COMPLAINT, 120, Window.MONTH), Band.PAUSED),
        (sent(45, GONE, 5), Band.WATCH),
        (sent(38, GONE, 12), Band.PAUSED),
        (sent(350, GONE, 4, Window.WEEK), Band.GOOD),
        (sent(300, GONE, 60, Window.WEEK), Band.QUARANTINED),
        (sent(40, sorted(BLOCKED)[0], 3, Window.HOUR), Band.GOOD),
        (sent(10, sorted(BLOCKED)[0], 40, Window.HOUR), Band.PAUSED),
    ],
)
def test_what_is_called_for(counts: Counts, band: Band) -> None:
    assert of(counts).standing.band is band


def test_one_provider_can_call_for_it_alone() -> None:
    all_, google = sent(3000, COMPLAINT, 3, Window.WEEK), sent(300, COMPLAINT, 3, Window.WEEK)
    assert of(all_).standing.band < Band.PAUSED
    verdict = of(all_, by_provider={"google": google})
    assert verdict.standing.band is Band.PAUSED
    assert "to google in 7d" in verdict.calls.words()


@settings(max_examples=200)
@given(st.lists(st.tuples(events, st.floats(0.1, 72)), min_size=1, max_size=30))
def test_nothing_gets_better_twice_within_the_time_a_band_holds(history) -> None:
    was, now = GOOD, NOW
    better_at = None
    for some, hours in history:
        now += timedelta(hours=hours)
        next_ = of(counts_of(some), was, now).standing
        if next_.band < was.band:
            assert now - was.since >= timedelta(hours=HEALTH.hold_h)
            if better_at is not None:
                assert now - better_at >= timedelta(hours=HEALTH.hold_h)
            better_at = now
        was = next_


@given(events, st.integers(2, 60))
def test_the_same_evidence_leads_somewhere_and_stays_there(some, days) -> None:
    """Worse at once, better in steps, and then no more moves, as long as it may send."""
    counts, was, now = counts_of(some), GOOD, NOW
    bands = []
    for _ in range(days):
        was = of(counts, was, now).standing
        bands.append(was.band)
        now += DAY
        if not was.band.sends:
            return
    assert bands[1:] == [bands[0]] * (days - 1)


@given(events)
def test_a_rate_that_swings_around_a_threshold_does_not_flap(some) -> None:
    """What is entered with one event more is not left with one event less."""
    counts = counts_of(some)
    more = with_more(counts, COMPLAINT, Window.WEEK)
    entered = of(more).standing
    if not entered.band.sends or entered.band is of(counts).standing.band:
        return
    now, was, changes = NOW, entered, 0
    for turn in range(20):
        now += timedelta(hours=30)
        next_ = of(more if turn % 2 else counts, was, now).standing
        changes += next_.band is not was.band
        was = next_
    assert changes <= 2


def test_a_pause_ends_watched_and_counts_anew_and_longer_each_time() -> None:
    bad_week = sent(350, COMPLAINT, 3, Window.WEEK)
    was, now, lengths = GOOD, NOW, []
    for _ in range(5):
        was = of(bad_week, was, now).standing
        assert was.band is Band.PAUSED
        assert was.until is not None
        lengths.append((was.until - now).days)
        assert of(bad_week, was, was.until - timedelta(seconds=1)).standing is was
        now = was.until
        back = of(bad_week, was, now).standing
        assert (back.band, back.until, back.counted_from) == (Band.WATCH, None, now)
        was = back
    assert lengths == [3, 6, 12, 24, 30]
    rested = of(bad_week, was, now + timedelta(days=61)).standing
    assert rested.until == now + timedelta(days=61 + 3)


def test_a_pause_becomes_a_quarantine_and_not_the_other_way_round() -> None:
    paused = of(sent(350, COMPLAINT, 3, Window.WEEK)).standing
    worse = of(sent(350, COMPLAINT, 9, Window.WEEK), paused, NOW + DAY).standing
    assert (worse.band, worse.until) == (Band.QUARANTINED, NOW + 31 * DAY)
    assert of(sent(350, COMPLAINT, 3, Window.WEEK), worse, NOW + 2 * DAY).standing is worse


def test_an_egress_stops_when_several_of_its_mailboxes_are_stopped() -> None:
    awful = sent(2000, COMPLAINT, 100, Window.WEEK)
    assert of(awful, votes=Votes("mailboxes", 8, ("a",))).standing.band is Band.SLOWED
    three = Votes("mailboxes", 8, ("a", "b", "c"))
    verdict = of(sent(9, GONE, 0), votes=three)
    assert verdict.standing.band is Band.PAUSED
    assert verdict.calls.words() == "3 of its 8 mailboxes are stopped: a, b, c"
    assert of(awful, votes=Votes("mailboxes", 1, ("a",))).standing.band is Band.SLOWED
    until = verdict.standing.until
    assert until is not None
    # As long as they agree, it is not over.
    assert of(awful, verdict.standing, until, votes=three).standing is verdict.standing
    over = of(awful, verdict.standing, until, votes=Votes("mailboxes", 8, ("a", "b")))
    assert over.standing.band is Band.WATCH


def test_what_is_listed_is_quarantined_until_the_time_is_over_and_it_is_not_listed() -> None:
    listed = of(sent(9, GONE, 0), listings=["zen.spamhaus.org"]).standing
    assert (listed.band, listed.until) == (Band.QUARANTINED, NOW + 30 * DAY)
    later = NOW + 31 * DAY
    assert of({}, listed, later, listings=["zen.spamhaus.org"]).standing is listed
    assert of({}, listed, later).standing.band is Band.WATCH


@given(st.floats(0, 1), st.floats(0, 1))
def test_points_rise_with_the_rate(one: float, other: float) -> None:
    low, high = sorted((one, other))
    limits = HEALTH.bounce_percent
    assert 0 <= severity(low, limits) <= severity(high, limits) <= 1


def test_percents_are_readable() -> None:
    assert [percent(x) for x in (0, 0.000234, 0.0283, 0.333)] == [
        "0 %", "0.023 %", "2.8 %", "33 %",
    ]  # fmt: skip
