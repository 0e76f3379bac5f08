"""What follows a message that ended: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from controller.campaigns.after import AGAIN, STOPPED, UNCERTAIN, Ended, after
from controller.message_life import State

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
FINAL = [State.SENT, *STOPPED]


def ended(state: State, step: int = 0, stands: str = "open", why: str = "") -> Ended:
    return Ended(state, step, None if state is State.UNCERTAIN else NOON, stands, why)


def test_a_follow_up_is_due_so_many_days_after_the_message_before_it() -> None:
    for step, days in enumerate((3, 7)):
        found = after(ended(State.SENT, step), [3, 7], "stop")
        assert found is not None
        assert (found.state, found.at) == ("open", NOON + timedelta(days=days))
    found = after(ended(State.SENT, 2), [3, 7], "stop")
    assert found is not None
    assert (found.state, found.at) == ("done", None)


def test_what_is_uncertain_is_sent_again_once_where_the_campaign_says_so() -> None:
    first = after(ended(State.UNCERTAIN), [3], "resend")
    assert first is not None
    assert (first.state, first.why, first.again) == ("open", AGAIN, True)
    second = after(ended(State.UNCERTAIN, why=first.why), [3], "resend")
    assert second is not None
    assert (second.state, second.why, second.again) == ("stopped", UNCERTAIN, False)
    stopped = after(ended(State.UNCERTAIN), [3], "stop")
    assert stopped == second


def test_who_was_stopped_by_doubt_goes_on_when_it_was_sent_after_all() -> None:
    found = after(ended(State.SENT, stands="stopped", why=UNCERTAIN), [3], "stop")
    assert found is not None
    assert (found.state, found.why, found.at) == ("open", "", NOON + timedelta(days=3))
    assert (
        after(ended(State.SENT, stands="stopped", why="the recipient replied"), [3], "stop") is None
    )


@given(
    st.sampled_from(FINAL), st.integers(0, 5), st.lists(st.integers(1, 365), max_size=5),
    st.sampled_from(["stop", "resend"]), st.sampled_from(["open", "done", "stopped", "refused"]),
    st.sampled_from(["", AGAIN, UNCERTAIN, "the recipient replied"]),
)  # fmt: skip
def test_only_what_was_sent_is_followed_and_an_end_is_an_end(
    state: State, step: int, delays: list[int], on_uncertain: str, stands: str, why: str
) -> None:
    found = after(ended(state, step, stands, why), delays, on_uncertain)
    if found is None:
        assert stands != "open"
        return
    assert stands == "open" or (stands, why) == ("stopped", UNCERTAIN)
    if found.at is not None:
        assert state is State.SENT
        assert found.at >= NOON + timedelta(days=1)
        assert step < len(delays)
    assert found.again <= (state is State.UNCERTAIN and why != AGAIN and on_uncertain == "resend")
    # Open means that something is still to happen; else nothing may be left over.
    assert (found.state == "open") == (found.at is not None or found.again)
    if found.state == "done":
        assert not found.keeps_rest
