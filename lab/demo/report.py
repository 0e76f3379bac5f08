"""The report of a demonstration: for people, and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lab.demo.compare import CODES
from lab.demo.facts import Difference, Evidence

_SHOWN = 20


@dataclass(frozen=True)
class Report:
    """What came of it. `elapsed_s`: seconds by phase."""

    submitted: int
    states: Mapping[str, int]
    received: Mapping[str, int]
    deferrals: int
    refusals: int
    egresses_seen: int
    tls: Mapping[str, int]
    differences: Sequence[Difference]
    elapsed_s: Mapping[str, float]
    total_s: float

    @property
    def holds(self) -> bool:
        """Whether the account is true, and there was something to be true about."""
        return not self.differences and self.submitted > 0


def make_report(
    evidence: Evidence,
    differences: Sequence[Difference],
    elapsed_s: Mapping[str, float],
    total_s: float,
) -> Report:
    """Counts what the evidence holds."""
    kinds = Counter(record.kind for record in evidence.refusals)
    records = [sighting.record for sighting in evidence.sightings]
    return Report(
        submitted=len(evidence.submitted),
        states=_counted(account.state for account in evidence.accounts.values()),
        received=_counted(record.provider for record in records),
        deferrals=kinds["deferred"],
        refusals=kinds["refused"],
        egresses_seen=len({record.source for record in records}),
        tls=_counted(record.tls or "none" for record in records),
        differences=differences,
        elapsed_s=elapsed_s,
        total_s=total_s,
    )


def _counted(words: Iterable[str]) -> dict[str, int]:
    """A plain dict: dataclasses.asdict cannot copy a Counter."""
    return dict(Counter(words))


def print_report(report: Report, console: Console) -> None:
    """The account against the records, then every kind of difference with its examples."""
    console.print("\nThe controller's account and the receivers' records:")
    table = Table()
    for name in ("", "controller", "receivers"):
        table.add_column(name, justify="left" if not name else "right")
    received = sum(report.received.values())
    table.add_row("submitted", f"{report.submitted:,}", "")
    table.add_row("sent / received", f"{report.states.get('sent', 0):,}", f"{received:,}")
    table.add_row(
        "bounced / refused", f"{report.states.get('bounced', 0):,}", f"{report.refusals:,}"
    )
    table.add_row("deferred on the way", "", f"{report.deferrals:,}")
    for provider, count in sorted(report.received.items()):
        table.add_row(f"  {provider}", "", f"{count:,}")
    table.add_row("exit addresses seen", "", f"{report.egresses_seen:,}")
    for version, count in sorted(report.tls.items()):
        table.add_row(f"TLS: {version}", "", f"{count:,}")
    console.print(table)
    if report.holds:
        console.print(
            "[green]Everything holds:[/] every message exactly once, octets intact, from its "
            "egress's address under its name, with TLS, DKIM, SPF and DMARC; what was deferred "
            "came later, what was refused bounced with the receiver's words."
        )
    else:
        _print_differences(report.differences, console)


def _print_differences(differences: Sequence[Difference], console: Console) -> None:
    counts = Counter(difference.what for difference in differences)
    console.print(f"[red]{len(differences)} differences:[/]")
    for what, count in counts.most_common():
        console.print(f"  {count:5}  {what}: {CODES[what]}")
    for difference in differences[:_SHOWN]:
        line = f"  {difference.message_id or '(no id)'} {difference.what}: {difference.detail}"
        console.print(escape(line), soft_wrap=True)
    if len(differences) > _SHOWN:
        console.print(f"  … and {len(differences) - _SHOWN} more (all of them: --json FILE)")


def write_json(report: Report, path: Path) -> None:
    """All of it, with every difference."""
    path.write_text(json.dumps({**asdict(report), "holds": report.holds}, indent=1) + "\n")
