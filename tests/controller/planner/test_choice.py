"""Slots pull messages: turns, providers, times, and what is held; and what a round says of it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from zoneinfo import ZoneInfo

from controller.planner.assignment import Moment
from controller.planner.boxes import Box, Slot, Waiting
from controller.planner.calendar import HOUR
from controller.planner.client_round import Round
from controller.planner.cycle import sentence
from controller.planner.limits import Account, Limit
from controller.planner.slots import Pace
from controller.planner.windows import Week
from inventory.pacing import week_window
from inventory.schema import Limits
from tests.controller.planner.pulled import (
    MOMENT,
    NOON,
    TODAY,
    WIDE,
    box,
    mail,
    per_mailbox,
    pull,
)


def test_mailboxes_take_turns() -> None:
    choice = pull([box("a"), box("b", "e2"), box("c", "e3")], mail(7))
    assert "".join(a.sender.mailbox[0] for a in choice.assignments) == "abcabca"


def test_turns_carry_on_where_the_ledger_says_they_were() -> None:
    used = {Account(Limit.MAILBOX_DAY, "a@d.test", TODAY): 1}
    choice = pull([box("a"), box("b")], mail(3), used=used)
    assert "".join(a.sender.mailbox[0] for a in choice.assignments) == "bab"


def test_who_may_send_more_is_chosen_more_often() -> None:
    special = {(Limit.MAILBOX_DAY, "a@d.test"): 40, (Limit.MAILBOX_DAY, "b@d.test"): 10}
    choice = pull([box("a"), box("b")], mail(10), special=special)
    assert per_mailbox(choice) == {"a": 8, "b": 2}


def test_a_message_that_names_its_mailbox_gets_that_one() -> None:
    choice = pull([box("a"), box("b")], [*mail(3, "b@d.test"), *mail(1)])
    assert per_mailbox(choice) == {"a": 1, "b": 3}


def test_a_provider_without_a_budget_does_not_stop_mail_to_others() -> None:
    limits = WIDE.model_copy(update={"provider_egress_per_hour": 2})
    messages = [*mail(50, to="google"), *mail(1, to="yahoo"), *mail(9, "a@d.test", to="microsoft")]
    choice = pull([box("a"), box("b")], messages, limits)
    providers = Counter(a.message.provider for a in choice.assignments)
    assert providers == {"google": 2, "yahoo": 1, "microsoft": 2}


def test_the_lowest_limit_wins_and_the_mailbox_says_which() -> None:
    for name, words in (
        ("mailbox_per_hour", "cap: mailbox a@d.test has used its 3 messages of the hour"),
        ("mailbox_per_day", "cap: mailbox a@d.test has used its 3 messages of the day"),
        ("egress_per_hour", "cap: egress e1 has used its 3 messages of the hour"),
        ("egress_per_day", "cap: egress e1 has used its 3 messages of the day"),
        ("domain_per_day", "cap: domain d.test has used its 3 messages of the day"),
        ("domain_provider_per_day",
         "cap: domain d.test has used its 3 messages of the day to google"),
        ("provider_egress_per_hour",
         "cap: egress e1 has used its 3 messages of the hour to google"),
        ("client_per_day", "cap: client acme has used its 3 messages of the day"),
    ):  # fmt: skip
        choice = pull([box("a")], mail(9), WIDE.model_copy(update={name: 3}))
        slot = choice.slots["a@d.test"]
        assert len(choice.assignments) == 3, name
        assert slot.held == words
        assert slot.held_since == NOON
        ends = NOON + HOUR if "hour" in name else NOON + timedelta(hours=12)
        assert slot.held_until == ends, name
        assert MOMENT.until < (slot.due_at or NOON) <= ends


def test_an_hour_that_begins_within_the_horizon_is_used() -> None:
    moment = Moment(NOON + timedelta(minutes=58), NOON + timedelta(minutes=63))
    limits = WIDE.model_copy(update={"mailbox_per_hour": 2})
    choice = pull([box("a")], mail(9), limits, moment=moment)
    assert [a.hour.hour for a in choice.assignments] == [12, 12, 13, 13]
    assert [a.at.minute for a in choice.assignments] == [58, 58, 0, 0]


def test_what_was_attempted_before_counts_as_a_try_and_goes_in_spite_of_a_spent_day() -> None:
    choice = pull([box("a")], mail(1, "a@d.test", charged=True), Limits(mailbox_per_day=0))
    (assignment,) = choice.assignments
    assert {account.limit for account in assignment.accounts()} == {
        Limit.PROVIDER_EGRESS_HOUR,
        Limit.DOMAIN_PROVIDER_HOUR,
    }


def test_what_was_attempted_before_is_not_tried_more_often_than_its_receiver_takes() -> None:
    limits = WIDE.model_copy(update={"provider_egress_per_hour": 2})
    choice = pull([box("a")], mail(3, "a@d.test", charged=True), limits)
    assert len(choice.assignments) == 2
    assert "has used its 2 messages of the hour" in choice.slots["a@d.test"].held


def held(minutes: int, slot: Slot) -> tuple[Moment, Box]:
    """A mailbox that was held at noon, and the moment so long after."""
    later = NOON + timedelta(minutes=minutes)
    moment = Moment(later, later + timedelta(minutes=5))
    assert slot.held
    assert slot.due_at is not None
    return moment, box("a")._replace(slot=slot)


def is_looked_at(moment: Moment, box: Box) -> bool:
    """Whether the planner reads it in this cycle: mailboxes whose slot lies before the horizon."""
    return box.slot.due_at is not None and box.slot.due_at <= moment.until


FULL = {Account(Limit.PROVIDER_EGRESS_HOUR, "google/e1", NOON): 2}
TWO = WIDE.model_copy(update={"provider_egress_per_hour": 2})


def test_what_one_providers_limit_holds_sends_to_another_within_a_minute_and_at_once() -> None:
    slot = pull([box("a")], mail(9), TWO, used=FULL).slots["a@d.test"]
    moment, again = held(1, slot)
    assert is_looked_at(moment, again)
    choice = pull([again], [*mail(9), *mail(1, to="yahoo")], TWO, used=FULL, moment=moment)
    assert [(a.message.provider, a.at) for a in choice.assignments] == [("yahoo", moment.now)]


def test_what_a_limit_holds_is_looked_at_when_the_limit_changes_and_goes_at_once() -> None:
    pair = (Limit.PROVIDER_EGRESS_HOUR, "google/e1")
    frees = NOON + timedelta(seconds=20)
    slot = pull([box("a")], mail(9), special={pair: 0}, changes={pair: frees}).slots["a@d.test"]
    assert slot.held_until == frees
    before = Moment(NOON + timedelta(seconds=19), NOON + timedelta(seconds=19 + 300))
    assert not is_looked_at(before, box("a")._replace(slot=slot))
    moment = Moment(frees, frees + timedelta(minutes=5))
    again = box("a")._replace(slot=slot)
    assert is_looked_at(moment, again)
    choice = pull([again], mail(9), special={pair: 4}, moment=moment)
    assert [a.at for a in choice.assignments] == [frees] * 4


def test_a_limit_that_should_have_changed_by_now_is_asked_again_and_again_not_for_ever() -> None:
    pair = (Limit.PROVIDER_EGRESS_HOUR, "google/e1")
    choice = pull([box("a")], mail(9), special={pair: 0}, changes={pair: NOON - HOUR})
    assert choice.slots["a@d.test"].due_at == MOMENT.until + timedelta(seconds=1)


def test_a_mailbox_that_was_held_keeps_its_gap() -> None:
    pace = Pace(spread=False, min_gap=timedelta(minutes=30), jitter=0)
    limits = WIDE.model_copy(update={"mailbox_per_day": 1})
    first = pull([box("a")], mail(9), limits, pace=pace)
    assert [a.at for a in first.assignments] == [NOON]
    moment, again = held(5, first.slots["a@d.test"])
    # Somebody raised its limit.
    raised = pull([again], mail(9), pace=pace, moment=moment)
    assert raised.assignments == ()
    assert raised.slots["a@d.test"].due_at == NOON + timedelta(minutes=30)


def test_a_mailbox_waits_for_its_window_and_its_slot() -> None:
    evening = Week(ZoneInfo("UTC"), (week_window("daily 18:00-20:00"),))
    later = NOON + HOUR
    choice = pull([box("a", week=evening), box("b", due_at=later)], mail(2))
    assert choice.assignments == ()
    assert choice.slots["a@d.test"].due_at == NOON.replace(hour=18)
    assert choice.slots["b@d.test"].due_at == later


def test_a_message_whose_time_comes_within_the_horizon_goes_then() -> None:
    soon = NOON + timedelta(minutes=3)
    choice = pull([box("a")], [Waiting("m", None, "google", soon)])
    assert [a.at for a in choice.assignments] == [soon]


def test_after_a_message_the_slot_lies_in_what_is_left_of_the_day() -> None:
    pace = Pace(spread=True, min_gap=timedelta(minutes=2), jitter=0)
    choice = pull([box("a")], mail(9), pace=pace)
    # 12 hours are left for 49 messages.
    assert choice.slots["a@d.test"].due_at == NOON + timedelta(hours=12) / 50


def test_a_slot_that_is_to_be_drawn_counts_from_the_last_one() -> None:
    pace = Pace(spread=True, min_gap=timedelta(minutes=2), jitter=0)
    used = {Account(Limit.MAILBOX_DAY, "a@d.test", TODAY): 10}
    choice = pull([box("a", slot_at=NOON)], mail(1), used=used, pace=pace)
    assert choice.assignments == ()
    assert choice.slots["a@d.test"].due_at == NOON + timedelta(hours=12) / 41


def test_the_sentence_says_what_was_done_and_why_not_more() -> None:
    rounds = {"acme": Round(5), "bolt": Round(0, why="cap: e"), "cork": Round(0, "", False, True)}
    assert sentence(rounds, 2) == (
        "took 2 back that were planned for an hour that is over; assigned 5 messages (acme 5); "
        "left cork to another planner; bolt waits: cap: e"
    )
    assert sentence({}, 0) == "nothing to assign: no message is due"
