"""Lanes of campaigns: shares, bursts, windows, pools, follow-ups; each really binds the choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from controller.planner.assignment import Choice, Moment
from controller.planner.boxes import Box, Queues, Slot, Waiting
from controller.planner.budgets import Budgets
from controller.planner.calendar import HOUR
from controller.planner.choice import choose
from controller.planner.lanes import PLAIN, Lane
from controller.planner.limits import Account, Caps, Limit, Sender
from controller.planner.open_lanes import pools
from controller.planner.slots import Pace
from controller.planner.windows import Week, meet
from inventory.pacing import week_window
from inventory.schema import Limits

# A Friday.
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MOMENT = Moment(NOON, NOON + timedelta(minutes=5))
AT_ONCE = Pace(spread=False, min_gap=timedelta(0), jitter=0)
WIDE = Limits(mailbox_per_hour=1000, egress_per_hour=1000, provider_egress_per_hour=1000,
              mailbox_per_day=1000, egress_per_day=1000)  # fmt: skip


def box(name: str, domain: str = "d.test", **slot: object) -> Box:
    sender = Sender(f"{name}@{domain}", "e1", domain, "acme")
    return Box(sender, name, Week(ZoneInfo("UTC")), 7, Slot(**slot))  # type: ignore[arg-type]


def campaign(number: int, **more: object) -> Lane:
    return Lane(id=number, subject=f"acme/c{number}", **({"priority": 0} | more))  # type: ignore[arg-type]


def mail(lane: Lane, count: int, mailbox: str | None = None, age: int = 1) -> list[Waiting]:
    return [
        Waiting(f"{lane.id}{mailbox or ''}{n:05}", mailbox, "google", NOON - age * HOUR, lane=lane)
        for n in range(count)
    ]


def pull(
    boxes: Sequence[Box], messages: Sequence[Waiting], most: int = 500,
    used: dict[Account, int] | None = None, moment: Moment = MOMENT,
) -> Choice:  # fmt: skip
    bursts = {(Limit.CAMPAIGN_HOUR, m.lane.subject): m.lane.burst for m in messages}
    budgets = Budgets(Caps.of(WIDE, bursts), used or {})
    return choose(boxes, Queues(messages), budgets, moment, AT_ONCE, most)


def by_campaign(choice: Choice) -> dict[int, int]:
    return dict(Counter(a.message.lane.id for a in choice.assignments))


def test_a_campaign_with_a_million_waiting_does_not_delay_anothers_ten() -> None:
    old = mail(campaign(1), 5000, age=9)
    choice = pull([box("a")], [*old, *mail(campaign(2), 10)], most=20)
    assert by_campaign(choice) == {1: 10, 2: 10}


def test_shares_follow_priorities() -> None:
    low, high = campaign(1), campaign(2, priority=3)
    choice = pull([box("a")], [*mail(low, 900), *mail(high, 900)], most=100)
    assert by_campaign(choice) == {1: 20, 2: 80}
    # The ledger carries them on over many small rounds.
    used: Counter[Account] = Counter()
    taken: Counter[int] = Counter()
    left = {m.id: m for m in (*mail(low, 300), *mail(high, 300))}
    for _ in range(100):
        for each in pull([box("a")], list(left.values()), most=1, used=dict(used)).assignments:
            used.update(each.accounts())
            taken[each.message.lane.id] += 1
            del left[each.message.id]
    assert taken == {1: 20, 2: 80}


def test_single_messages_are_not_lost_behind_campaigns() -> None:
    urgent = campaign(1, priority=100)
    choice = pull([box("a")], [*mail(urgent, 900, age=9), *mail(PLAIN, 10)], most=20)
    assert by_campaign(choice) == {0: 10, 1: 10}


def test_follow_ups_come_first() -> None:
    later = campaign(2, follow_up=True)
    urgent = campaign(1, priority=100)
    choice = pull([box("a"), box("b")], [*mail(urgent, 90, age=9), *mail(later, 5, "b@d.test")],
                  most=12)  # fmt: skip
    assert "".join(str(a.message.lane.id) for a in choice.assignments[:10]) == "12" * 5
    assert {a.sender.mailbox for a in choice.assignments if a.message.lane is later} == {"b@d.test"}


def test_a_burst_binds_and_the_next_hour_is_another() -> None:
    lane = campaign(1, burst=7)
    used = {lane.account(NOON): 3}
    choice = pull([box("a"), box("b")], [*mail(lane, 90), *mail(PLAIN, 3)], used=used)
    assert by_campaign(choice) == {0: 3, 1: 4}
    # Nobody is held by it: what else there is goes.
    assert all(not slot.held for slot in choice.slots.values())
    moment = Moment(NOON + timedelta(minutes=57), NOON + timedelta(minutes=62))
    choice = pull([box("a")], mail(lane, 90), used=used, moment=moment)
    assert [a.at.minute for a in choice.assignments] == [57] * 4 + [0] * 7


def test_a_burst_is_one_for_all_lanes_of_a_campaign() -> None:
    berlin, again = campaign(1, burst=6), Lane(2, "acme/c1", 0, follow_up=True, burst=6)
    choice = pull([box("a")], [*mail(berlin, 9), *mail(again, 4)])
    assert by_campaign(choice) == {2: 4, 1: 2}


def test_windows_are_the_recipients() -> None:
    nine = (week_window("mon-fri 09:00-17:00"),)
    here = campaign(1, week=Week(ZoneInfo("Europe/Berlin"), nine))
    there = campaign(2, week=Week(ZoneInfo("America/Los_Angeles"), nine))
    choice = pull([box("a")], [*mail(there, 5, age=9), *mail(here, 5)])
    assert by_campaign(choice) == {1: 5}
    # 17:00 UTC is nine there, and past five here.
    early = NOON + timedelta(hours=4, minutes=57)
    moment = Moment(early, early + timedelta(minutes=5))
    choice = pull([box("a")], [*mail(there, 5), *mail(here, 5)], moment=moment)
    assert {(a.message.lane.id, a.at.hour, a.at.minute) for a in choice.assignments} == {(2, 17, 0)}


def test_a_pool_binds_but_for_messages_that_have_their_mailbox() -> None:
    lane = campaign(1, domains=("d.test",), mailboxes=("x@e.test",))
    boxes = [box("a"), box("x", "e.test"), box("y", "e.test")]
    choice = pull(boxes, [*mail(lane, 30), *mail(lane, 2, "y@e.test")], most=9)
    boxes_used = Counter(a.sender.mailbox for a in choice.assignments)
    assert boxes_used["y@e.test"] == 2
    assert boxes_used["a@d.test"] + boxes_used["x@e.test"] == 7


def test_pools_are_read_apart_from_mail_for_any_mailbox() -> None:
    one = campaign(1, domains=("d.test",), mailboxes=("x@e.test",))
    two = campaign(2, domains=("b.test",))
    assert list(pools([PLAIN])) == [(None, [])]
    assert list(pools([one, two, one])) == [(["b.test", "d.test"], ["x@e.test"])]
    assert list(pools([PLAIN, two])) == [(None, []), (["b.test"], [])]
    assert list(pools([])) == []


def test_windows_that_never_meet() -> None:
    berlin = Week(ZoneInfo("Europe/Berlin"), (week_window("mon-fri 09:00-17:00"),))
    weekend = Week(ZoneInfo("Europe/Berlin"), (week_window("sat 09:00-17:00"),))
    tokyo = Week(ZoneInfo("Asia/Tokyo"), (week_window("sat 01:00-02:00"),))
    always = Week(ZoneInfo("UTC"))
    assert not meet(berlin, weekend, NOON)
    # Saturday, one in the morning in Tokyo is Friday, five in the afternoon in Berlin.
    assert not meet(berlin, tokyo, NOON)
    assert meet(tokyo, always, NOON)
    assert meet(weekend, always, NOON)


@given(
    waiting=st.lists(st.integers(0, 60), min_size=2, max_size=5),
    priorities=st.lists(st.sampled_from([0, 1, 5, 20]), min_size=5, max_size=5),
    most=st.integers(1, 120),
)
def test_nobody_gets_less_than_their_share(
    waiting: list[int], priorities: list[int], most: int
) -> None:
    """Whoever is left with something waiting got its part of what went, less one of each other."""
    lanes = [campaign(n, priority=priorities[n]) for n in range(len(waiting))]
    messages = [m for lane, count in zip(lanes, waiting, strict=True) for m in mail(lane, count)]
    gone = by_campaign(pull([box("a")], messages, most=most))
    assert sum(gone.values()) == min(most, len(messages))
    hungry = [n for n, count in enumerate(waiting) if gone.get(n, 0) < count]
    for n in hungry:
        for other in range(len(waiting)):
            mine = (gone.get(n, 0) + 1) / lanes[n].weight
            theirs = gone.get(other, 0) / lanes[other].weight
            assert theirs <= mine + 1e-9
