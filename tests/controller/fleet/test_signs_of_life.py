"""What can be said of a node that somebody wants to fence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.fleet.signs_of_life import Life, signs_of_life
from controller.leases.timing import LeaseTiming

TIMING = LeaseTiming(ttl_s=60, margin_s=5, heartbeat_s=5)


@pytest.mark.parametrize(
    ("connected", "silent_s", "life"),
    [
        (True, 0.0, Life.ALIVE),
        (False, 14.9, Life.ALIVE),
        (True, 15.0, Life.UNCLEAR),
        (False, 59.9, Life.UNCLEAR),
        (False, 60.0, Life.SILENT),
        (True, 3600.0, Life.UNCLEAR),
        (True, None, Life.UNCLEAR),
        (False, None, Life.SILENT),
    ],
)
def test_words_for_signs_of_life(connected: bool, silent_s: float | None, life: Life) -> None:
    assert signs_of_life(connected, silent_s, TIMING) is life


@given(st.booleans(), st.floats(0, 1e6), st.floats(0, 1e6))
def test_longer_silence_never_looks_more_alive(connected: bool, one: float, other: float) -> None:
    rank = [Life.ALIVE, Life.UNCLEAR, Life.SILENT]
    earlier, later = (
        rank.index(signs_of_life(connected, silent_s, TIMING)) for silent_s in sorted((one, other))
    )
    assert earlier <= later
