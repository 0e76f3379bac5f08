"""Latencies and lapses of a simulated agent's lease."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from lab.bench.scale_trust import Trust


def test_a_lapse_counts_when_it_happens_and_once():
    trust = Trust()
    trust.asked(1, 0.0)
    trust.granted(1, 55.0, 0.5)
    trust.look(54.9)
    assert trust.lapses == 0
    trust.look(55.0)
    trust.look(60.0)
    assert trust.lapses == 1


def test_a_lapse_that_nobody_looked_at_is_seen_when_the_late_grant_comes():
    trust = Trust()
    trust.asked(1, 0.0)
    trust.granted(1, 55.0, 0.1)
    trust.asked(2, 5.0)
    trust.granted(2, 55.0, 56.0)
    trust.look(57.0)
    assert trust.lapses == 1
    trust.look(61.0)
    assert trust.lapses == 2, "trust from the second heartbeat ends at 60"


def test_a_grant_that_comes_too_late_to_be_trusted_ends_no_lapse():
    trust = Trust()
    trust.asked(1, 0.0)
    trust.granted(1, 55.0, 0.1)
    trust.asked(2, 5.0)
    trust.granted(2, 55.0, 61.0)
    trust.look(62.0)
    assert trust.lapses == 1


def test_heartbeats_answered_by_a_later_ones_grant_waited_as_long():
    trust = Trust()
    for seq in (1, 2, 3):
        trust.asked(seq, float(seq))
    trust.granted(2, 55.0, 4.0)
    trust.granted(2, 55.0, 9.0)
    assert trust.latencies_s == [3.0, 2.0]
    assert trust.waiting_s(10.0) == [7.0]


@given(st.lists(st.floats(0.01, 30), min_size=1, max_size=40), st.floats(0.1, 60))
def test_it_lapses_exactly_where_two_grants_are_further_apart_than_they_last(gaps, good_for_s):
    trust, now_s = Trust(), 0.0
    trust.asked(0, now_s)
    trust.granted(0, good_for_s, now_s)
    for seq, gap_s in enumerate(gaps, 1):
        now_s += gap_s
        trust.asked(seq, now_s)
        trust.granted(seq, good_for_s, now_s)
    times = [0.0]
    for gap_s in gaps:
        times.append(times[-1] + gap_s)
    expected = sum(b >= a + good_for_s for a, b in itertools.pairwise(times))
    assert trust.lapses == expected
