"""Reads a scenario: every mistake at once, each with its line and what is allowed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from controller.providers.table import OTHER
from controller.simulation.receivers_shipped import receivers_of
from controller.simulation.scenario import Event, Scenario
from inventory import shape
from inventory.errors import Finding, Problem
from inventory.errors import Path as Path_
from inventory.load import located, problem_at
from inventory.suggest import did_you_mean
from inventory.yaml_reader import read

SAMPLES = ("steady", "launch", "complaints", "tightened")
"""Scenarios that come with the program, by name."""

_OF_CAMPAIGN = ("unknown_percent", "complaint_percent")


class ScenarioError(Exception):
    """The scenario cannot be used; `problems` has every reason, in order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Known:
    """What a scenario may name: providers of the table, clients of the inventory in its order."""

    providers: Collection[str]
    clients: Sequence[str]


def load(name: str, known: Known) -> Scenario:
    """The shipped scenario of this name, or else the file. Raises ScenarioError."""
    if name in SAMPLES:
        return parse(sample(name), f"{name} (shipped)", known)
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        hint = did_you_mean(name, SAMPLES) or f"; shipped are {', '.join(SAMPLES)}"
        words = f"cannot read the scenario: {error.strerror or error}{hint}"
        raise ScenarioError([Problem(name, 0, "", "", words)]) from None
    except UnicodeDecodeError as error:
        words = f"is not UTF-8 text: octet {error.start} is {error.object[error.start]:#04x}"
        raise ScenarioError([Problem(name, 0, "", "", words)]) from None
    return parse(text, name, known)


def sample(name: str) -> str:
    """The text of a shipped scenario."""
    file = files("controller.simulation").joinpath("samples", f"{name}.yaml")
    return file.read_text(encoding="utf-8")


def parse(text: str, file: str, known: Known) -> Scenario:
    """Checks a text; `file` only names it. Raises ScenarioError."""
    reading = read(text)
    problems = [problem_at(file, line, finding) for line, finding in reading.problems]
    data = reading.data
    if not isinstance(data, dict):
        if not problems:
            what = "is empty" if data is None else "must be a mapping"
            problems = [Problem(file, 1, "", "", f"the scenario {what}; see `version: 1`")]
        raise ScenarioError(problems)
    scenario, found = _checked(data)
    if scenario is not None:
        found += violations(scenario, known)
    problems += located(text, file, found)
    if problems or scenario is None:
        raise ScenarioError(sorted(problems, key=lambda problem: problem.line))
    return scenario


def _checked(data: dict[str, Any]) -> tuple[Scenario | None, list[Finding]]:
    try:
        return Scenario.model_validate(data), []
    except ValidationError as error:
        return None, shape.findings(error, Scenario)


def violations(scenario: Scenario, known: Known) -> Iterator[Finding]:
    """What only the whole can show: names that mean nothing, or two things."""
    names: set[str] = set()
    for number, campaign in enumerate(scenario.campaigns):
        path: Path_ = ("campaigns", number)
        if campaign.name in names:
            yield Finding((*path, "name"), campaign.name, "stands there twice")
        names.add(campaign.name)
        yield from _client((*path, "client"), campaign.client, known.clients)
    seen: set[str] = set()
    providers = {*known.providers, OTHER}
    for number, receiver in enumerate(scenario.receivers):
        path = ("receivers", number, "provider")
        if receiver.provider in seen:
            yield Finding(path, receiver.provider, "stands there twice")
        seen.add(receiver.provider)
        yield from _provider(path, receiver.provider, providers)
    shares = {n: r.share_percent for n, r in receivers_of(scenario).items() if n != OTHER}
    if sum(shares.values()) > 100:
        words = f"share_percent of all providers adds up to {sum(shares.values()):g}: " + ", ".join(
            f"{name} {share:g}" for name, share in shares.items() if share
        )
        yield Finding(("receivers",), None, f"{words}; at most 100")
    for number, event in enumerate(scenario.events):
        yield from _event(("events", number), event, names, providers)


def _client(path: Path_, whose: str, clients: Sequence[str]) -> Iterator[Finding]:
    if whose.startswith("#"):
        if int(whose[1:]) > len(clients):
            yield Finding(path, whose, f"the inventory has {len(clients)} clients")
    elif whose != "*" and whose not in clients:
        hint = did_you_mean(whose, clients) or f"; there are {', '.join(clients)}"
        yield Finding(path, whose, f"no such client in the inventory{hint}")


def _provider(path: Path_, name: str, providers: set[str]) -> Iterator[Finding]:
    if name not in providers:
        hint = did_you_mean(name, providers) or f"; there are {', '.join(sorted(providers))}"
        yield Finding(path, name, f"no such provider{hint}")


def _event(path: Path_, event: Event, names: set[str], providers: set[str]) -> Iterator[Finding]:
    if (event.provider is None) == (event.campaign is None):
        yield Finding(path, None, "must name a provider or a campaign, one of them")
        return
    given = changes(event)
    if event.provider is not None:
        yield from _provider((*path, "provider"), event.provider, providers)
        wrong = [name for name in given if name in _OF_CAMPAIGN]
    else:
        if event.campaign not in names:
            hint = did_you_mean(event.campaign, names)
            yield Finding((*path, "campaign"), event.campaign, f"no such campaign{hint}")
        wrong = [name for name in given if name not in _OF_CAMPAIGN]
    what = "campaign" if event.provider else "provider"
    for name in wrong:
        yield Finding((*path, name), given[name], f"is a {what}'s, and the event names none")
    if not given:
        yield Finding(path, None, "changes nothing: name what becomes another")


def changes(event: Event) -> dict[str, Any]:
    """What an event changes, by name."""
    given = event.model_dump(exclude={"day", "provider", "campaign"})
    return {name: value for name, value in given.items() if value is not None}
