"""The observer of leases, as sentences and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.leases.observer import LeaseRow, Observer
from controller.leases.timing import LeaseTiming, silence_needed_s, trusted_until_s


def row(renewals: int = 1, epoch: int = 1, *, held: bool = True, ttl_ms: int = 1000) -> LeaseRow:
    return LeaseRow("n1", epoch, renewals, held, ttl_ms, 125)


def test_a_new_observer_waits_in_full() -> None:
    observer = Observer()
    assert not observer.look([row()], read_from_s=1e6, read_until_s=1e6)
    assert not observer.look([row()], read_from_s=1e6 + 1.0625, read_until_s=1e6 + 1.0625)
    (over,) = observer.look([row()], read_from_s=1e6 + 1.125, read_until_s=1e6 + 1.125)
    assert (over.node_id, over.epoch, over.renewals) == ("n1", 1, 1)


def test_a_renewal_begins_the_wait_anew() -> None:
    observer = Observer()
    observer.look([row(1)], read_from_s=0, read_until_s=0)
    assert not observer.look([row(2)], read_from_s=5, read_until_s=5)
    assert not observer.look([row(2)], read_from_s=6, read_until_s=6)
    assert observer.look([row(2)], read_from_s=6.125, read_until_s=6.125)


def test_a_new_term_with_the_same_count_begins_the_wait_anew() -> None:
    observer = Observer()
    observer.look([row(epoch=1)], read_from_s=0, read_until_s=0)
    assert not observer.look([row(epoch=2)], read_from_s=5, read_until_s=5)


def test_time_spent_reading_is_not_counted_as_silence() -> None:
    observer = Observer()
    observer.look([row()], read_from_s=0, read_until_s=10)
    assert not observer.look([row()], read_from_s=11, read_until_s=20)
    assert observer.look([row()], read_from_s=11.125, read_until_s=20)


def test_a_lease_nobody_holds_is_never_over() -> None:
    observer = Observer()
    observer.look([row(held=False)], read_from_s=0, read_until_s=0)
    assert not observer.look([row(held=False)], read_from_s=100, read_until_s=100)


def test_a_lease_that_was_not_held_meanwhile_is_watched_from_the_beginning() -> None:
    observer = Observer()
    observer.look([row()], read_from_s=0, read_until_s=0)
    observer.look([row(held=False)], read_from_s=0.5, read_until_s=0.5)
    assert not observer.look([row()], read_from_s=2, read_until_s=2)


def test_the_longest_grant_of_the_term_counts_whatever_the_settings_are_now() -> None:
    observer = Observer()
    observer.look([row(ttl_ms=60_000)], read_from_s=0, read_until_s=0)
    assert not observer.look([row(ttl_ms=60_000)], read_from_s=60, read_until_s=60)
    assert observer.look([row(ttl_ms=60_000)], read_from_s=60.125, read_until_s=60.125)


@pytest.mark.parametrize(("ttl", "margin", "heartbeat"), [(60, 5, 55), (60, 0, 5), (5, 1, 0)])
def test_settings_that_leave_no_time_to_renew_are_refused(
    ttl: float, margin: float, heartbeat: float
) -> None:
    with pytest.raises(ValueError, match="leave no time"):
        LeaseTiming(ttl, margin, heartbeat)


@given(
    ttl_s=st.floats(1, 100),
    margin_share=st.floats(0.01, 0.4),
    start_s=st.floats(0, 1e6),
    to_commit_s=st.floats(0, 1000),
    to_sight_s=st.floats(0, 1000),
    drift=st.floats(-1, 1),
)
def test_a_term_never_ends_while_its_node_may_still_have_anything_open(
    ttl_s: float,
    margin_share: float,
    start_s: float,
    to_commit_s: float,
    to_sight_s: float,
    drift: float,
) -> None:
    """The node's clock may be slower than ours by up to margin / ttl."""
    margin_s = ttl_s * margin_share
    slow = 1 - abs(drift) * margin_s / (ttl_s + margin_s)
    seen_s = start_s + to_commit_s + to_sight_s
    over_s = seen_s + silence_needed_s(round(ttl_s * 1000) + 1, round(margin_s * 1000) + 1)
    all_cut_s = start_s + ttl_s / slow
    assert all_cut_s <= over_s + 1e-6
    assert trusted_until_s(start_s, ttl_s, margin_s) < all_cut_s
