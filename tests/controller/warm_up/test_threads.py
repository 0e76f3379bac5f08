"""Threads are the same on every look, keep to days and windows, and are answered as people do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st

from controller.planner.windows import Week
from controller.warm_up.draw import Draw
from controller.warm_up.quota import Progress, part, quota
from controller.warm_up.threads import (
    CONTACTS,
    JITTER,
    LONGEST,
    SETTLING,
    SHORTEST,
    Correspondent,
    awake,
    length,
    partner,
    reply_at,
    starts,
    thread_id,
)
from tests.controller.planner.pacing_strategies import instants, weeks

UTC_WEEK = Week(ZoneInfo("UTC"))
names = st.text("abcdef", min_size=1, max_size=8)
threads = st.text("0123456789abcdef", min_size=32, max_size=32)
seeds = st.integers(0, 2**53 - 1)


def person(name: str, seed: int = 1, week: Week = UTC_WEEK, client: str = "acme") -> Correspondent:
    return Correspondent(f"{name}@{client}.test", client, name.title(), week, seed)


people = st.builds(person, names, seeds, weeks)


@given(st.text(max_size=20))
def test_a_draw_is_what_its_text_says_and_spreads_evenly(text: str) -> None:
    one, other = Draw(text), Draw(text)
    drawn = [one.fraction() for _ in range(400)]
    assert drawn == [other.fraction() for _ in range(400)]
    assert all(0 <= each < 1 for each in drawn)
    assert 0.38 < sum(drawn) / len(drawn) < 0.62
    assert sorted(Draw(text).several(range(9), 20)) == list(range(9))


def test_draws_stay_what_they_are_for_ever() -> None:
    # A controller that is upgraded in the middle of a day must come to the same messages.
    assert Draw("thread/17").fraction() == 0.8443432721614396
    who = person("ann")
    assert thread_id(who, date(2026, 11, 26), 3) == "7d5a743ad86f55f0364e6fbcf7ec0d85"


@given(people, instants, st.integers(0, 60), st.integers(0, 60))
def test_starts_lie_in_the_day_and_when_people_are_awake_and_quotas_only_add(
    who: Correspondent, now: datetime, few: int, more: int
) -> None:
    day = who.week.day_of(now)
    found = starts(who, day, few + more)
    assert len({number for number, _ in found}) == len(found) <= few + more
    assert [at for _, at in found] == sorted(at for _, at in found)
    for _, at in found:
        assert day.start <= at < day.end
        assert awake(who.week).is_open(at)
    assert set(starts(who, day, few)) <= set(found)
    assert len(found) in (0, few + more)


@given(threads, st.integers(1, 4), instants, weeks)
def test_a_reply_comes_an_hour_to_a_day_later_and_when_its_writer_is_awake(
    thread: str, position: int, arrived: datetime, week: Week
) -> None:
    at = reply_at(thread, position, arrived, week)
    assume(at is not None)
    assert at is not None
    assert awake(week).is_open(at)
    assert at >= arrived + SHORTEST - JITTER
    opens = awake(week).next_open(arrived + SHORTEST)
    assert opens is not None
    assert at <= max(arrived + LONGEST + JITTER, opens + SETTLING)
    assert at == reply_at(thread, position, arrived, week)


def test_replies_are_spread_over_hours_and_most_come_the_same_day() -> None:
    always = Week(ZoneInfo("UTC"), awake(UTC_WEEK).windows[:0])
    noon = datetime(2026, 11, 26, 12, tzinfo=UTC)
    found = [reply_at(f"{n:032x}", 1, noon, always) for n in range(2000)]
    delays = sorted((at - noon) / timedelta(hours=1) for at in found if at is not None)
    assert len(delays) == 2000
    assert 3 < median(delays) < 22
    assert delays[0] < 1.2
    assert len({round(delay * 60) for delay in delays}) > 400


@given(people, st.lists(people, max_size=30), threads)
def test_a_partner_is_one_of_the_others_and_never_oneself(
    writer: Correspondent, others: list[Correspondent], thread: str
) -> None:
    found = partner(writer, thread, others)
    rest = [each for each in others if each.address != writer.address]
    assert (found is None) == (not rest)
    assert found is None or found in rest


def test_one_writes_to_a_few_and_to_them_again_and_again() -> None:
    everybody = [person(f"p{n}") for n in range(200)]
    for writer in everybody[:20]:
        found = [partner(writer, f"{n:032x}", everybody) for n in range(300)]
        addresses = {each.address for each in found if each is not None}
        assert 5 <= len(addresses) <= CONTACTS
        # Another mailbox that comes or goes changes at most one contact.
        fewer = [partner(writer, f"{n:032x}", everybody[:-1]) for n in range(300)]
        assert len(addresses - {each.address for each in fewer if each is not None}) <= 1


def test_threads_have_one_to_five_messages() -> None:
    lengths = [length(f"{n:032x}") for n in range(3000)]
    assert set(lengths) == {1, 2, 3, 4, 5}
    assert 2.0 < sum(lengths) / len(lengths) < 2.6


progresses = st.builds(Progress, st.integers(1, 60), st.integers(1, 500))


@given(progresses, st.integers(0, 40), st.integers(0, 40))
def test_the_part_is_all_while_internal_then_shrinks_to_nothing(
    progress: Progress, internal: int, more: int
) -> None:
    mixed = internal + more
    found = part(progress, internal, mixed)
    assert 0 <= found <= progress.allowance
    assert found == progress.allowance or progress.day > internal
    assert (found == 0) == (progress.day > mixed)
    later = part(Progress(progress.day + 1, progress.allowance), internal, mixed)
    assert later <= found


@given(st.none() | progresses, st.none() | progresses)
def test_a_quota_is_never_above_any_allowance(
    mailbox: Progress | None, egress: Progress | None
) -> None:
    found = quota(mailbox, egress, 14, 28)
    assert all(found <= each.allowance for each in (mailbox, egress) if each is not None)
    if mailbox is None and egress is None:
        assert found == 0
