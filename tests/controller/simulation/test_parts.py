"""Client by client, on however many cores: the same months."""

from __future__ import annotations

from typing import Any

import pytest

from controller.cli.simulation import as_data
from controller.simulation import simulate as whole
from controller.simulation.parts import parts
from controller.simulation.run import run
from controller.simulation.simulate import simulate
from tests.controller.simulation.foreseen import fleet, scenario

CAMPAIGNS: list[dict[str, Any]] = [
    {"name": "all", "client": "*", "recipients": 5_001},
    {"name": "one", "client": "#2", "recipients": 700, "follow_ups": [2]},
]


def test_all_recipients_are_shared_out_and_each_mailbox_is_of_one_part() -> None:
    three = fleet(48)
    given = scenario(campaigns=CAMPAIGNS)
    found = parts(three, given)
    assert len(found) == len(three.clients) > 1
    counts = {name: sum(c.recipients for _, part in found for c in part.campaigns
                        if c.name == name) for name in ("all", "one")}  # fmt: skip
    assert counts == {"all": 5_001, "one": 700}
    domains = [domain.name for inventory, _ in found for domain in inventory.domains]
    assert sorted(domains) == sorted(domain.name for domain in three.domains)


def test_parts_are_the_whole() -> None:
    three = fleet(48, warm_up={"internal_days": 2, "mixed_days": 2})
    given = scenario(mailboxes="new", campaigns=CAMPAIGNS)
    found = simulate(three, given, 8)
    each = [run(*part, 8, 1, lambda _: None) for part in parts(three, given)]
    assert found.mailboxes == 48
    assert found.delivered == sum(part.delivered for part in each) > 0
    assert [day.warm_up for day in found.days] == [
        sum(part.days[number].warm_up for part in each) for number in range(8)
    ]
    assert [course.plan.name for course in found.campaigns] == ["all"] * len(each) + ["one"]
    assert sum(course.recipients for course in found.campaigns) == 5_701


def test_on_several_cores_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "_WORTH_IT", 0)
    three, given = fleet(48), scenario(campaigns=CAMPAIGNS)
    heard: list[int] = []
    one = simulate(three, given, 6)
    several = simulate(three, given, 6, 1, heard.append, cores=2)
    assert as_data(one) == as_data(several)
    assert heard == sorted(heard)


def test_what_goes_wrong_in_a_part_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "_WORTH_IT", 0)
    three = fleet(48)
    broken = three.model_copy(update={"fleet": three.fleet.model_copy(update={"time_zone": "No"})})
    with pytest.raises(Exception, match="No"):
        simulate(broken, scenario(campaigns=CAMPAIGNS), 3, cores=2)


def test_with_mail_across_clients_they_are_one_part() -> None:
    together = fleet(48, warm_up={"across_clients": True})
    assert len(parts(together, scenario())) == 1
