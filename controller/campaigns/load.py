"""Loads a campaign: all of its mistakes at once, each with file, line, path and value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from controller.campaigns import rules
from controller.campaigns.recipients import BadFile, columns_of
from controller.campaigns.schema import Campaign, Recipients
from controller.campaigns.templates import Complaint, LetterParts, Part
from inventory import shape
from inventory.errors import Finding, Path, Problem, path_text
from inventory.load import located, problem_at
from inventory.suggest import did_you_mean
from inventory.yaml_reader import read

_MOST_TEMPLATE = 200_000


class CampaignError(Exception):
    """The campaign cannot be used; nothing was started. `problems` has every reason, in order."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Loaded:
    """A valid campaign. `letters`: the first message and its follow-ups, in the order of sending.

    `delays_days`: of each follow-up, after the message before it.
    """

    campaign: Campaign
    recipients_file: FilePath
    letters: tuple[LetterParts, ...]
    delays_days: tuple[int, ...]
    sources: tuple[str, ...]


def load(file: FilePath) -> Loaded:
    """Reads and checks a campaign file and what it names. Raises CampaignError."""
    text = _text_of(file)
    reading = read(text)
    problems = [problem_at(str(file), line, finding) for line, finding in reading.problems]
    data = reading.data
    if not isinstance(data, dict):
        if not problems:
            what = "is empty" if data is None else "must be a mapping"
            problems = [Problem(str(file), 1, "", "", f"the campaign {what}; see `version: 1`")]
        raise CampaignError(problems)
    campaign, found = _checked(data)
    found += rules.violations(data)
    templates = _Templates(file, data)
    found += templates.found
    found += _recipients(file, data, templates)
    problems += located(text, str(file), found)
    if problems or campaign is None:
        raise CampaignError(sorted(problems, key=lambda problem: problem.line))
    order = rules.chain(data)
    return Loaded(
        campaign,
        file.parent / campaign.recipients.file,
        (templates.letter(None), *(templates.letter(number) for number in order)),
        tuple(campaign.follow_ups[number].after_days for number in order),
        tuple(templates.sources),
    )


def _text_of(file: FilePath) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        words = f"cannot read the campaign: {error.strerror or error}"
    except UnicodeDecodeError as error:
        words = f"is not UTF-8 text: octet {error.start} is {error.object[error.start]:#04x}"
    raise CampaignError([Problem(str(file), 0, "", "", words)])


def _checked(data: dict[str, Any]) -> tuple[Campaign | None, list[Finding]]:
    try:
        return Campaign.model_validate(data), []
    except ValidationError as error:
        return None, shape.findings(error, Campaign)


class _Templates:
    """All templates of the file, with what is wrong with them."""

    def __init__(self, file: FilePath, data: dict[str, Any]) -> None:
        self._file = file
        self.found: list[Finding] = []
        self.sources: list[str] = []
        self._parts: dict[Path, Part] = {}
        letters: list[tuple[Path, Any]] = [((), data)]
        follow_ups = data.get("follow_ups")
        if isinstance(follow_ups, list):
            letters += [(("follow_ups", n), each) for n, each in enumerate(follow_ups)]
        for path, letter in letters:
            if isinstance(letter, dict):
                for name in ("subject", "text", "html"):
                    self._read((*path, name), letter, name)

    def parts(self) -> dict[Path, Part]:
        return self._parts

    def letter(self, follow_up: int | None) -> LetterParts:
        """The first message's, or a follow-up's; only where nothing was found."""
        base: Path = () if follow_up is None else ("follow_ups", follow_up)
        subject = self._parts.get((*base, "subject"))
        if subject is None:
            first = self.sources[0]
            subject = Part(f"Re: {first}", f"Re: {path_text(('subject',))}")
        return LetterParts(subject, self._parts[(*base, "text")], self._parts.get((*base, "html")))

    def _read(self, path: Path, letter: dict[str, Any], name: str) -> None:
        source, place = letter.get(name), path_text(path)
        named = letter.get(f"{name}_file") if name != "subject" else None
        if isinstance(named, str) and named:
            path, place = (*path[:-1], f"{name}_file"), named
            source = self._file_text(path, named)
        if not isinstance(source, str) or not source:
            return
        self.sources.append(source)
        try:
            self._parts[(*path[:-1], name)] = Part(source, place, html=name == "html")
        except Complaint as complaint:
            self.found.append(Finding(path, None, complaint.within))

    def _file_text(self, path: Path, named: str) -> str | None:
        file = self._file.parent / named
        try:
            source = file.read_text(encoding="utf-8")
        except OSError as error:
            self.found.append(Finding(path, named, f"cannot read it: {error.strerror or error}"))
            return None
        except UnicodeDecodeError as error:
            self.found.append(Finding(path, named, f"is not UTF-8 text: {error.reason}"))
            return None
        if not 0 < len(source) <= _MOST_TEMPLATE:
            words = f"has {len(source):,} characters; 1 to {_MOST_TEMPLATE:,} are allowed"
            self.found.append(Finding(path, named, words))
            return None
        return source


def _recipients(file: FilePath, data: dict[str, Any], templates: _Templates) -> list[Finding]:
    """Whether the columns that the campaign names are there."""
    try:
        where = Recipients.model_validate(data.get("recipients"))
    except ValidationError:
        return []
    path: Path = ("recipients", "file")
    try:
        columns = columns_of(file.parent / where.file)
    except BadFile as error:
        return [Finding(path, where.file, str(error))]
    if not columns:
        return []
    found = []
    for name, column in (("address", where.address), ("time_zone", where.time_zone)):
        if column is not None and column not in columns:
            words = f"no such column{did_you_mean(column, columns)}; there are {', '.join(columns)}"
            found.append(Finding(("recipients", name), column, words))
    for at, part in templates.parts().items():
        found += [Finding(at, None, each.within) for each in part.unknown(frozenset(columns))]
    return found
