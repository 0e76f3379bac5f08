"""Scenarios: what ships is right, and mistakes are told all at once, each with its line."""

from __future__ import annotations

import pytest

from controller.simulation.receivers_shipped import receivers_of
from controller.simulation.scenario_file import SAMPLES, ScenarioError, load, parse
from tests.controller.simulation.foreseen import KNOWN, scenario


@pytest.mark.parametrize("name", SAMPLES)
def test_a_shipped_scenario_is_right_and_says_what_it_is_for(name: str) -> None:
    found = load(name, KNOWN)
    assert found.name == name
    assert len(found.about) > 40


WRONG = """\
version: 1
name: Big
colour: red
start: tomorrow
windows: ["mon-fri 18:00-08:00"]
campaigns:
  - {name: a, client: harbor, recipients: 0}
"""


def test_mistakes_of_the_form_are_told_at_once_with_lines() -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(WRONG, "s.yaml", KNOWN)
    told = str(caught.value)
    for words in (
        "s.yaml:2: name: 'Big': must be 1 to 48",
        "s.yaml:3: colour: unknown field",
        "s.yaml:4: start: 'tomorrow': must be a day, such as 2026-03-02",
        "s.yaml:5: windows[0]: 'mon-fri 18:00-08:00': must close after it opens",
        "s.yaml:7: campaigns[0].recipients: 0: must be a whole number from 1",
    ):
        assert words in told


MEANINGLESS = """\
version: 1
name: odd
campaigns:
  - {name: a, client: habor, recipients: 10}
  - {name: a, client: "#9", recipients: 10}
receivers:
  - {provider: gogle, share_percent: 80.0}
  - {provider: microsoft, share_percent: 70.0}
events:
  - {day: 2}
  - {day: 2, provider: google, complaint_percent: 1.0}
  - {day: 2, campaign: b, unknown_percent: 1.0}
  - {day: 3, campaign: a}
"""


def test_names_that_mean_nothing_are_told_at_once_with_lines() -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(MEANINGLESS, "s.yaml", KNOWN)
    told = str(caught.value)
    for words in (
        "s.yaml:4: campaigns[0].client: 'habor': no such client in the inventory; did you mean "
        "'harbor'?",
        "s.yaml:5: campaigns[1].name: 'a': stands there twice",
        "s.yaml:5: campaigns[1].client: '#9': the inventory has 3 clients",
        "s.yaml:7: receivers[0].provider: 'gogle': no such provider; did you mean 'google'?",
        "receivers: share_percent of all providers adds up to",
        "s.yaml:10: events[0]: must name a provider or a campaign, one of them",
        "s.yaml:11: events[1].complaint_percent: 1.0: is a campaign's",
        "s.yaml:12: events[2].campaign: 'b': no such campaign",
        "s.yaml:13: events[3]: changes nothing",
    ):
        assert words in told


def test_what_cannot_be_read_is_no_scenario() -> None:
    for text, words in (("", "is empty"), ("- 1", "must be a mapping"), ("a: [", "s.yaml")):
        with pytest.raises(ScenarioError, match=words):
            parse(text, "s.yaml", KNOWN)
    with pytest.raises(ScenarioError, match="did you mean 'steady'"):
        load("steadi", KNOWN)


def test_shares_of_providers_add_up() -> None:
    found = receivers_of(scenario(receivers=[{"provider": "google", "share_percent": 50.0}]))
    assert sum(each.share_percent for each in found.values()) == pytest.approx(100)
    assert found["google"].share_percent == 50
