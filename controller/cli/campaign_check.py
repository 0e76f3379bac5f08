"""postfleet campaign check: renders everything, and tells all mistakes together."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from controller.campaigns.load import CampaignError, Loaded, load
from controller.campaigns.prepare import Prepared, prepared
from controller.campaigns.recipients import BadFile, BadRow, count_lines
from controller.cli.command import Session
from controller.cli.exits import Exit
from controller.cli.failure import Failure
from controller.cli.output import notes, print_json

_MOST_SHOWN = 20
_MOST_KEPT = 1000
_EVERY = 500


@dataclass
class Checked:
    """What a check found. `bad`: the first thousand bad rows; `bad_count`: how many there are."""

    recipients: int = 0
    octets: int = 0
    bad_count: int = 0
    bad: list[BadRow] = field(default_factory=list)
    zones: Counter[str] = field(default_factory=Counter)


def loaded_or_failure(file: Path) -> Loaded:
    """The campaign. Raises Failure with all mistakes of the file."""
    try:
        return load(file)
    except CampaignError as error:
        count = len(error.problems)
        words = f"{error}\n{count} {'mistake' if count == 1 else 'mistakes'}; nothing was started"
        raise Failure(Exit.REFUSED, words) from None


def run_check(loaded: Loaded, keep: Callable[[Prepared], None]) -> Checked:
    """Renders all of it under a progress bar; gives each recipient to `keep`. Raises Failure."""
    checked = Checked()
    try:
        with progress() as bar:
            task = bar.add_task("checked", total=count_lines(loaded.recipients_file))
            for number, each in enumerate(prepared(loaded), 1):
                if isinstance(each, Prepared):
                    checked.recipients += 1
                    checked.octets += sum(map(len, each.contents))
                    checked.zones[each.zone] += 1
                    keep(each)
                else:
                    checked.bad_count += 1
                    if len(checked.bad) < _MOST_KEPT:
                        checked.bad.append(each)
                if number % _EVERY == 0:
                    bar.update(task, completed=number)
    except BadFile as error:
        raise Failure(Exit.REFUSED, f"{error}. Nothing was started") from None
    return checked


def refuse_bad(loaded: Loaded, checked: Checked) -> None:
    """Raises Failure that names the bad rows, or that there is no recipient at all."""
    name = loaded.recipients_file
    if checked.bad_count:
        shown = [f"{name}: {each}" for each in checked.bad[:_MOST_SHOWN]]
        if checked.bad_count > len(shown):
            shown.append(f"{name}: … and {checked.bad_count - len(shown):,} more rows")
        words = f"{checked.bad_count:,} of {checked.recipients + checked.bad_count:,} rows are bad"
        raise Failure(Exit.REFUSED, "\n".join([*shown, f"{words}; nothing was started"]))
    if not checked.recipients:
        raise Failure(Exit.REFUSED, f"{name} has no recipients; nothing was started")


def check(session: Session, file: Path, sample: int) -> None:
    """The whole command. Raises Failure with Exit.REFUSED where anything is wrong."""
    loaded = loaded_or_failure(file)
    first: list[Prepared] = []

    def keep(each: Prepared) -> None:
        if len(first) < sample:
            first.append(each)

    checked = run_check(loaded, keep)
    if session.json:
        print_json(_data(loaded, checked, first))
    else:
        for line in _sample(first):
            print(line)
    refuse_bad(loaded, checked)
    if not session.json:
        print("\n".join(summary(loaded, checked)))


def summary(loaded: Loaded, checked: Checked) -> Iterator[str]:
    """What the campaign is, in a few lines."""
    campaign = loaded.campaign
    messages = checked.recipients * len(loaded.letters)
    yield (
        f"{campaign.campaign} of client {campaign.client}: {checked.recipients:,} recipients, "
        f"{messages:,} messages rendered, {checked.octets:,} octets; no mistake found"
    )
    if loaded.delays_days:
        days = ", then ".join(f"{each} days" for each in loaded.delays_days)
        yield f"follow-ups {len(loaded.delays_days)}: after {days}, until something is heard"
    if campaign.windows:
        zones = Counter(checked.zones)
        own = checked.recipients - zones.pop("", 0)
        yield (
            f"windows {', '.join(campaign.windows)} by {campaign.time_zone}"
            + (f"; {own:,} recipients have one of {len(zones)} time zones" if own else "")
        )


def progress() -> Progress:
    """A bar on standard error; none where that is no terminal."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=notes(), transient=True, disable=not sys.stderr.isatty(),
    )  # fmt: skip


def _sample(first: list[Prepared]) -> Iterator[str]:
    for each in first:
        for number, content in enumerate(each.contents):
            what = f"follow-up {number}" if number else "first message"
            yield f"--- {each.address}, {what}"
            yield content.decode("utf-8", "replace").replace("\r\n", "\n")


def _data(loaded: Loaded, checked: Checked, first: list[Prepared]) -> dict[str, object]:
    return {
        "campaign": loaded.campaign.campaign,
        "client": loaded.campaign.client,
        "recipients": checked.recipients,
        "messages": checked.recipients * len(loaded.letters),
        "octets": checked.octets,
        "bad_count": checked.bad_count,
        "bad_rows": [
            {"line": each.line, "column": each.column, "reason": each.words}
            for each in checked.bad
        ],
        "sample": [
            {"address": each.address, "contents": [c.decode("utf-8", "replace")
                                                   for c in each.contents]}
            for each in first
        ],
    }  # fmt: skip
