"""What `why` says is what the planner does: it names a stop exactly where nothing would go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.planner.assignment import Moment, accounts_in
from controller.planner.boxes import Box, Queues, Slot, Waiting
from controller.planner.budgets import Budgets
from controller.planner.choice import choose
from controller.planner.limits import UNLIMITED, Account, Caps, Limit, Sender
from controller.planner.slots import Pace
from controller.planner.why import Situation, Stop, verdict, why_mailbox
from controller.planner.windows import Week
from inventory.pacing import week_window
from inventory.schema import Limits
from tests.controller.planner.pacing_strategies import instants, weeks

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BERLIN = Week(ZoneInfo("Europe/Berlin"), (week_window("mon-fri 08:00-18:00"),))
SENDER = Sender("a@d.test", "e1", "d.test", "acme")


def situation(box: Box, budgets: Budgets, now: datetime = NOON, **more: object) -> Situation:
    given = {"providers": ["google"], "waiting": "1 for it", "node": "e1 is on n1"} | more
    return Situation(box, now, budgets, **given)  # type: ignore[arg-type]


def fresh(week: Week = BERLIN, **slot: object) -> Box:
    return Box(SENDER, "A", week, 3, Slot(**({"due_at": NOON} | slot)))  # type: ignore[arg-type]


@settings(deadline=None)
@given(weeks, instants, st.data())
def test_something_binds_exactly_where_the_planner_would_assign_nothing(
    week: Week, now: datetime, data: st.DataObject
) -> None:
    caps = Caps.of(Limits())
    due_at = data.draw(st.sampled_from([now - timedelta(hours=1), now, now + timedelta(hours=1)]))
    box = fresh(week, due_at=due_at)
    moment = Moment(now, now)
    accounts = set(accounts_in([box], ["google"], moment))
    accounts = sorted((a for a in accounts if caps.cap(a) < UNLIMITED), key=str)
    full = data.draw(st.sets(st.sampled_from(accounts), max_size=2))
    used = {account: caps.cap(account) for account in full}
    facts = why_mailbox(situation(box, Budgets(caps, used), now))
    message = Waiting("m", None, "google", now - timedelta(days=1))
    pace = Pace(False, timedelta(0), 0)
    choice = choose([box], Queues([message]), Budgets(caps, used), moment, pace, 1)
    assert bool(choice.assignments) == (not any(fact.binds for fact in facts))


def test_the_limit_that_binds_is_named_with_its_end_and_its_setting() -> None:
    used = {Account(Limit.MAILBOX_HOUR, "a@d.test", NOON): 10}
    budgets = Budgets(Caps.of(Limits()), used)
    words = budgets.words(Account(Limit.MAILBOX_HOUR, "a@d.test", NOON))
    since = NOON - timedelta(minutes=3)
    box = fresh(held=words, held_since=since)
    facts = why_mailbox(situation(box, budgets))
    (fact,) = [fact for fact in facts if fact.binds]
    assert (fact.name, fact.since, fact.until) == ("mailbox hour", since, NOON.replace(hour=13))
    assert fact.value == "a@d.test: 10 of 10 used, 0 left"
    assert fact.change == "fleet.limits.mailbox_per_hour"
    assert verdict(facts, "mailbox a@d.test") == (
        "mailbox a@d.test waits: mailbox hour: a@d.test: 10 of 10 used, 0 left, "
        "until 2026-11-20 13:00 UTC"
    )


def test_suspensions_and_states_come_before_limits() -> None:
    stop = Stop("egress", "e1", "probe", "proxy-auth: refused", NOON, None)
    used = {Account(Limit.MAILBOX_HOUR, "a@d.test", NOON): 10}
    facts = why_mailbox(
        situation(
            fresh(),
            Budgets(Caps.of(Limits()), used),
            stops=[stop],
            states=[("mailbox", "a@d.test", "warming", "day 3 of 35")],
        )
    )
    assert [fact.name for fact in facts if fact.binds] == ["suspension", "mailbox hour"]
    assert "suspended by probe" in verdict(facts, "it")


def test_one_full_provider_of_several_does_not_stop_a_mailbox() -> None:
    used = {Account(Limit.PROVIDER_EGRESS_HOUR, "google/e1", NOON): 100}
    budgets = Budgets(Caps.of(Limits()), used)
    facts = why_mailbox(situation(fresh(), budgets, providers=["google", "yahoo"]))
    assert not any(fact.binds for fact in facts)
    assert any("google × e1: 100 of 100 used" in fact.value for fact in facts)
    assert verdict(facts, "it") == "nothing stops it"
