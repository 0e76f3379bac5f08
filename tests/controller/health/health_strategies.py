"""Counts by dice, and a place to put one more event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import strategies as st

from controller.health.counts import BLOCKED, COMPLAINT, KINDS, SENT, Counts, Window, bounced
from controller.replies import Scope

BAD = tuple(sorted({COMPLAINT, bounced(Scope.RECIPIENT), *BLOCKED}))
windows = st.sampled_from(Window)
bad = st.sampled_from(BAD)
# Mostly sent, as in life, and sometimes anything.
events = st.lists(
    st.tuples(
        st.one_of(st.just(SENT), st.sampled_from(BAD), st.sampled_from(sorted(KINDS))),
        windows,
        st.integers(1, 400),
    ),
    max_size=12,
)


def counts_of(some: Iterable[tuple[str, Window, int]]) -> dict[Window, Counter[str]]:
    """(kind, how long ago at most, how many) as windows see them: each holds the shorter ones."""
    found: dict[Window, Counter[str]] = {window: Counter() for window in Window}
    for kind, ago, number in some:
        for window in Window:
            if window.length >= ago.length:
                found[window][kind] += number
    return found


def with_more(counts: Counts, kind: str, ago: Window, number: int = 1) -> Counts:
    """The same, and so many more."""
    return {
        window: Counter(tally) + Counter({kind: number if window.length >= ago.length else 0})
        for window, tally in counts.items()
    }
