"""Bars, ratios and the table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.bench.result import Bar, Result, Side, median_ratio, table

AT_LEAST = Bar(Side.AT_LEAST, 0.85, 0.95)
AT_MOST = Bar(Side.AT_MOST, 80)


@pytest.mark.parametrize(
    ("bar", "value", "met"),
    [
        (AT_LEAST, 0.85, True),
        (AT_LEAST, 0.8499, False),
        (AT_MOST, 80.0, True),
        (AT_MOST, 80.01, False),
    ],
)
def test_a_value_on_the_bar_is_met_and_nothing_is_rounded_up_to_it(bar, value, met):
    assert Result("x", value, "", bar).met is met


def test_what_was_not_measured_is_not_met():
    result = Result("x", None, "", AT_MOST, "no controller")
    assert result.as_json() == {
        "name": "x", "value": None, "unit": "", "bar": "≤ 80", "met": False,
        "note": "no controller",
    }  # fmt: skip
    assert "not measured" in table([result])


def test_the_ratio_is_the_median_of_each_rounds_own():
    # The third round met a busy machine: both suffered, the ratio did not.
    assert median_ratio([90, 80, 9], [100, 100, 10]) == 0.9


@given(st.lists(st.floats(1, 1e4), min_size=1, max_size=9), st.floats(0.1, 10))
def test_a_constant_ratio_is_found_whatever_the_rounds(references, ratio):
    values = [reference * ratio for reference in references]
    assert median_ratio(values, references) == pytest.approx(ratio)


def test_the_table_has_a_line_for_each_row_and_says_what_is_below_the_aim():
    text = table(
        [
            Result("gateway vs direct", 0.9, "", AT_LEAST, "why"),
            Result("memory", 90.0, "MB", AT_MOST),
        ]
    )
    assert "gateway vs direct  0.9       ≥ 0.85, aim 0.95  met, below aim" in text
    assert "memory             90 MB     ≤ 80              NOT MET" in text
    assert "  gateway vs direct: why" in text
    assert text.endswith("1 of 2 bars met")
