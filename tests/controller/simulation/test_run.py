"""Months in virtual time: caps hold, a seed means one result, and bad receivers slow us down."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from controller.planner.limits import Caps, Limit
from controller.simulation.campaigns import allot, shares
from controller.simulation.simulate import simulate
from tests.controller.simulation.foreseen import fleet, fleets, scenario, scenarios


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(fleets, scenarios)
def test_no_cap_is_passed_whatever_comes_and_no_message_is_lost(
    given_fleet: dict[str, Any], given_scenario: dict[str, Any]
) -> None:
    found = simulate(fleet(12, **given_fleet), scenario(**given_scenario), 6)
    assert found.violations == []
    for each in found.campaigns:
        assert 0 <= each.open <= each.recipients
        assert (each.open == 0) == (each.finished is not None)
    assert found.delivered == sum(each.sent for each in found.campaigns)


CURVES = {
    Limit.MAILBOX_PROVIDER_DAY: {"provider": "google", "mailbox": "1:1 60:20"},
    Limit.EGRESS_PROVIDER_DAY: {"provider": "google", "egress": "1:3 60:90"},
}


@pytest.mark.parametrize("limit", CURVES)
def test_a_planner_that_forgets_a_curve_toward_a_provider_is_found_out(
    limit: Limit, monkeypatch: pytest.MonkeyPatch
) -> None:
    cap = Caps.cap
    small = fleet(20, warm_up={"internal_days": 0, "mixed_days": 0, "providers": [CURVES[limit]]})
    found = simulate(small, scenario(mailboxes="new"), 5)
    assert found.cap_violations == 0
    kept = sum(day.providers["google"] for day in found.days)
    assert kept
    monkeypatch.setattr(
        Caps, "cap", lambda self, account: 10**6 if account[0] is limit else cap(self, account)
    )
    found = simulate(small, scenario(mailboxes="new"), 5)
    assert {each.limit for each in found.violations} == {str(limit)}
    assert all(each.subject.endswith("/google") for each in found.violations)
    assert sum(day.providers["google"] for day in found.days) > kept


@pytest.mark.parametrize(
    "limit",
    [each for each in Limit if each not in {*CURVES, Limit.DOMAIN_PROVIDER_HOUR}],
)
def test_a_planner_that_forgets_a_limit_is_found_out(
    limit: Limit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counter knows nothing of the planner's ledger."""
    cap = Caps.cap
    monkeypatch.setattr(
        Caps, "cap", lambda self, account: 10**6 if account[0] is limit else cap(self, account)
    )
    limits = {
        "mailbox_per_hour": 4, "mailbox_per_day": 20, "egress_per_hour": 16, "egress_per_day": 60,
        "domain_per_day": 80, "domain_provider_per_day": 30, "provider_egress_per_hour": 8,
        "client_per_day": 120,
    }  # fmt: skip
    name = {"domain provider day": "domain_provider_per_day",
            "provider egress hour": "provider_egress_per_hour"}.get(
        limit, limit.replace(" ", "_per_")
    )  # fmt: skip
    others = {each: (limits[each] if each == name else 10_000) for each in limits}
    pacing = {"spread": False, "min_gap_s": 0}
    small = fleet(20, limits=others, pacing=pacing)
    some: list[dict[str, Any]] = [{"name": "news", "client": "*", "recipients": 1500}]
    if limit is Limit.CAMPAIGN_HOUR:
        some[0]["burst_per_hour"] = 40
    given_scenario = scenario(pacing="inventory", mailboxes="warm", campaigns=some)
    found = simulate(small, given_scenario, 1)
    assert {each.limit for each in found.violations} == {str(limit)}
    assert found.cap_violations > 0


def test_a_warm_up_that_jumps_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "controller.planner.warm_up_caps.allowance", lambda curve, _: 12 if curve[0][1] == 5 else 50
    )
    found = simulate(fleet(20, warm_up={"internal_days": 0}), scenario(mailboxes="new"), 3)
    assert {each.limit for each in found.violations} == {"mailbox day"}
    assert max(each.cap for each in found.violations) <= 7


def test_the_same_seed_gives_the_same_and_another_one_another() -> None:
    def run(seed: int) -> list[int]:
        return [day.total for day in simulate(fleet(20), scenario(), 5, seed).days]

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_what_is_new_climbs_its_curve_and_ends_active() -> None:
    found = simulate(fleet(16), scenario(mailboxes="new"), 45)
    first, last = found.days[0], found.days[-1]
    assert 0 < first.warm_up <= 16 * 5
    assert last.warm_up == 0
    assert set(found.days[20].sent) == {"warming"}
    assert last.boxes == {"active": 16}
    totals = [day.total + day.warm_up for day in found.days]
    assert all(after <= before * 1.6 + 30 for before, after in pairwise(totals))


def test_internal_days_have_warm_up_mail_alone_which_is_in_no_campaigns_figure() -> None:
    found = simulate(fleet(16), scenario(mailboxes="new"), 20)
    assert found.violations == []
    internal = [day for day in found.days if day.boxes["internal"] == 16]
    assert len(internal) >= 13
    for day in internal:
        assert day.total == 0
        assert day.warm_up > 0
    mixed = found.days[-1]
    assert mixed.total > 0
    assert mixed.warm_up > 0
    assert found.delivered == sum(each.sent for each in found.campaigns)
    alone = simulate(fleet(1), scenario(mailboxes="new"), 20)
    assert alone.days[-1].boxes == {"internal": 1}
    without = simulate(fleet(16, warm_up={"internal_days": 0, "mixed_days": 0}),
                       scenario(mailboxes="new"), 3)  # fmt: skip
    assert [day.warm_up for day in without.days] == [0, 0, 0]
    assert all(day.total > 0 for day in without.days)


def test_a_bad_receiver_leads_to_less_volume_and_not_to_more() -> None:
    def volume(**receiver: Any) -> int:
        given = [{"provider": "google", "share_percent": 60.0} | receiver]
        shipped = ("microsoft", "yahoo", "apple", "gmx", "proofpoint", "mimecast")
        given += [{"provider": name, "share_percent": 0.0} for name in shipped]
        many = scenario(mailboxes="warm", receivers=given, windows=["mon-fri 08:00-18:00"])
        found = simulate(fleet(20), many, 8)
        assert found.violations == []
        return sum(day.providers["google"] for day in found.days)

    good = volume()
    assert volume(per_egress_hour=6) < good / 1.5
    assert volume(per_egress_hour=1) < volume(per_egress_hour=6)
    assert volume(busy_percent=100.0) == 0


def test_complaints_lead_to_stops_and_less_mail_of_that_client_alone() -> None:
    def sent(complaint_percent: float) -> list[int]:
        common = {"recipients": 5000, "over_days": 20}
        campaigns = [
            {"name": "a", "client": "#1", "complaint_percent": complaint_percent} | common,
            {"name": "b", "client": "#2", "complaint_percent": 0.0} | common,
        ]
        found = simulate(fleet(20), scenario(mailboxes="warm", campaigns=campaigns), 20)
        return [each.sent for each in found.campaigns]

    fine, bad = sent(0.0), sent(8.0)
    assert bad[0] < 0.9 * fine[0]
    assert abs(bad[1] - fine[1]) < 0.05 * fine[1]


def test_mail_that_comes_is_shared_out_whole() -> None:
    assert shares([1, 1, 1], 10) == [3, 4, 3]
    assert sum(shares([34, 27, 7.5], 1001)) == 1001
    given = [0, 0, 0]
    for _ in range(100):
        more = allot(given, [60, 30, 10], 1)
        given = [had + new for had, new in zip(given, more, strict=True)]
        assert min(more) >= 0
        assert sum(more) == 1
    assert given == [60, 30, 10]
