"""The beta distribution against what is known of it."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.health.beta import Beta

counts = st.integers(1, 60)
rates = st.floats(0.001, 0.999)
weights = st.floats(0.05, 1e6)


@given(counts, counts, rates)
def test_whole_numbers_agree_with_the_binomial(a: int, b: int, rate: float) -> None:
    # I_x(a, b) = P(at least a of a + b - 1 tries), DLMF 8.17.5.
    n = a + b - 1
    at_least = sum(comb(n, j) * rate**j * (1 - rate) ** (n - j) for j in range(a, n + 1))
    assert Beta(a, b).above(rate) == pytest.approx(1 - at_least, abs=1e-9)


@given(weights, weights, rates, rates)
def test_it_is_a_distribution(a: float, b: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    above_low, above_high = Beta(a, b).above(low), Beta(a, b).above(high)
    assert 0 <= above_high <= above_low + 1e-9 <= 1 + 2e-9
    assert Beta(b, a).above(1 - low) == pytest.approx(1 - above_low, abs=1e-7)


@given(st.floats(0.5, 1e4), st.floats(20, 1e6), st.floats(0.01, 0.99))
def test_a_quantile_has_its_share_below_it(a: float, more: float, share: float) -> None:
    beta = Beta(a, a + more)
    assert 1 - beta.above(beta.quantile(share)) == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize(
    ("a", "b", "rate", "above"),
    # R 4.3: pbeta(rate, a, b, lower.tail = FALSE) where closed forms are known.
    [(1, 1, 0.3, 0.7), (1, 9, 0.1, 0.9**9), (2, 1, 0.5, 0.75), (0.5, 0.5, 0.5, 0.5)],
)
def test_known_values(a: float, b: float, rate: float, above: float) -> None:
    assert Beta(a, b).above(rate) == pytest.approx(above, abs=1e-12)


def test_more_is_known_after_more_events() -> None:
    few, many = Beta.prior(0.01, 100).after(1, 3), Beta.prior(0.01, 100).after(1000, 3000)
    assert few.mean < 0.02 < 0.3 < many.mean < 0.34
    assert few.quantile(0.95) - few.quantile(0.05) < 0.05
    assert many.quantile(0.95) - many.quantile(0.05) < 0.03


@given(weights, weights, rates, rates)
def test_the_short_way_to_know_agrees_with_the_long_one(
    a: float, b: float, rate: float, sure: float
) -> None:
    beta = Beta(a, b)
    assert beta.is_above(rate, sure) == (beta.above(rate) >= sure)
