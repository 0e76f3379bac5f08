"""Writes docs/reference/scenario.md from the schema: `python -m controller.simulation.reference`.

A test compares the committed page with what this writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from controller.simulation.scenario import Scenario
from controller.simulation.scenario_file import SAMPLES, sample
from inventory.reference_docs import sections
from inventory.yaml_reader import read

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "scenario.md"
_HEAD = """\
# Scenarios of `postfleet simulate`

Written by `python -m controller.simulation.reference` from the schema; do not edit.

A scenario says what mail comes, how receivers are and what happens; the fleet is the inventory's.
What is run are the controller's own decisions, against a model of receivers
([why](../decisions/0023-foresight-decides-with-the-controllers-code.md)).

```console
$ postfleet simulate --days 90 --inventory inventory.yaml --scenario launch --plot launch.svg
```
"""
_RESULT = {
    "`scenario`, `seed`, `mailboxes`, `days`": "what was simulated",
    "`cap_violations`": "messages above a cap, counted by a witness that knows nothing of the "
    "planner's ledger; must be 0, else the exit code is 1",
    "`violations`": "each: `limit`, `subject`, `bucket` (day or hour), `sent`, `cap`",
    "`delivered`": "messages that receivers took, warm-up mail apart",
    "`cost`": "`monthly_eur` of the inventory, `per_message_eur` of what was delivered",
    "`series`": "a line for each day: `day`, `date`, `warm_up` (warm-up mail), `delivered`, "
    "`by_stage` and `mailboxes` (internal, warming, active), `by_provider`, `put_off`, `refused`, "
    "`unknown`, `expired`, `complaints`, `pauses` that began, `waiting` as the day ends",
    "`pauses`": "each: `scope`, `subject`, `why`, `at`, `until`",
    "`campaigns`": "each: `name`, `client`, `recipients`, `open`, `delivered`, `bounced`, "
    "`expired`, `complaints`, `finished` (a day, or null)",
}
_LIMITS = """\
## What is not modelled

Blocking lists; nodes and proxies that fail. [Health](../health.md) judges each morning what was
heard the day before, where a controller judges within seconds. Replies to warm-up mail do not come
one by one: all of a mailbox's warm-up mail of a day waits from its morning, as much as
[its quota](../warm-up.md) says.
"""


def page() -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *_shipped(), *sections(Scenario), *_result(), _LIMITS])


def _shipped() -> Iterator[str]:
    yield from ("## Shipped", "", "| name | what it is |", "|---|---|")
    for name in SAMPLES:
        data = read(sample(name)).data
        assert isinstance(data, dict)
        yield f"| `{name}` | {' '.join(str(data['about']).split())} |"
    yield ""


def _result() -> Iterator[str]:
    yield from ("## What `--json` says", "", "| field | what it is |", "|---|---|")
    yield from (f"| {name} | {words} |" for name, words in _RESULT.items())
    yield ""


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
