"""Weeks with bad senders: verdicts stop them and let them begin anew; good ones are left alone."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from controller.health.counts import COMPLAINT, SENT, Window
from controller.planner.limits import Sender
from controller.simulation.run import Simulation
from controller.simulation.simulate import simulate
from controller.simulation.tallies import Tallies
from tests.controller.simulation.foreseen import fleet, scenario

MONDAY = date(2026, 3, 2)
A = Sender("a@d.test", "e1", "d.test", "acme")
B = Sender("b@d.test", "e1", "d.test", "acme")


def unwanted(**more: Any) -> list[dict[str, Any]]:
    return [{"name": "news", "client": "*", "recipients": 40_000, **more}]


def test_counts_are_those_of_the_windows_of_each_that_sent() -> None:
    tallies = Tallies({each.mailbox: each for each in (A, B)})
    for day in range(40):
        tallies.add(A.mailbox, "google", SENT)
        tallies.add(B.mailbox, "yahoo", SENT)
        if day == 36:
            tallies.add(A.mailbox, "google", COMPLAINT)
        heard = tallies.close(MONDAY + timedelta(days=day))
        assert heard == ({("mailbox", A.mailbox), ("egress", "e1"), ("domain", "d.test")}
                         if day == 36 else set())  # fmt: skip
    last = MONDAY + timedelta(days=39)
    all_, by_provider = tallies.counts(("egress", "e1"), last, None)
    assert all_[Window.DAY] == {SENT: 2}
    assert all_[Window.WEEK] == {SENT: 14, COMPLAINT: 1}
    assert all_[Window.MONTH] == {SENT: 60, COMPLAINT: 1}
    assert by_provider["yahoo"][Window.MONTH] == {SENT: 30}
    anew, _ = tallies.counts(("mailbox", A.mailbox), last, last - timedelta(days=1))
    assert anew[Window.MONTH] == {SENT: 2}


def test_complaints_pause_mailboxes_which_begin_anew_at_the_bottom() -> None:
    small = fleet(20, health={"pause_days": 2})
    bad = scenario(mailboxes="warm", campaigns=unwanted(complaint_percent=1.5))
    running = Simulation(small, bad, 25, 1)
    found = running.run(lambda _: None)
    paused = [each for each in found.pauses if each.why.startswith("paused")]
    assert {each.scope for each in paused} >= {"mailbox"}
    assert all("complaints" in each.why for each in paused if each.scope == "mailbox")
    # Nothing was sent in spite of a stop, and what came back sends warm-up mail first.
    assert found.cap_violations == 0
    assert found.days[0].boxes["active"] == 20
    assert sum(day.warm_up for day in found.days)
    assert any(day.boxes["internal"] for day in found.days)


@pytest.mark.parametrize("percent", [0.0, 0.01])
def test_wanted_mail_pauses_nobody(percent: float) -> None:
    good = scenario(mailboxes="warm", campaigns=unwanted(complaint_percent=percent))
    found = simulate(fleet(20), good, 25)
    assert [each for each in found.pauses if each.scope == "mailbox"] == []
    assert all(day.boxes["active"] == 20 for day in found.days)


def test_addresses_that_do_not_exist_slow_first() -> None:
    """A list of which one address in twenty-five is gone."""
    stale = scenario(mailboxes="warm", campaigns=unwanted(unknown_percent=4))
    fresh = scenario(mailboxes="warm", campaigns=unwanted(unknown_percent=0.5))
    slowed, free = (simulate(fleet(20), each, 12) for each in (stale, fresh))
    assert slowed.delivered < free.delivered * 0.9
