"""Runs a simulation under a progress bar and prints what came of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from controller.cli.command import Session
from controller.cli.exits import Exit
from controller.cli.failure import Failure
from controller.cli.output import notes, number, print_json, print_table
from controller.providers.table import open_table
from controller.simulation.plot import svg
from controller.simulation.scenario import Scenario
from controller.simulation.scenario_file import Known, ScenarioError, load
from controller.simulation.series import STAGES, DayLine, Foresight
from controller.simulation.simulate import simulate
from inventory.errors import InventoryError
from inventory.load import load as load_inventory
from inventory.load import parse as parse_inventory
from inventory.reference import render
from inventory.schema import Inventory

# On internal days a mailbox sends warm-up mail alone.
_SENDING = tuple(stage for stage in STAGES if stage != "internal")


def show(
    session: Session, file: Path | None, name: str, days: int, seed: int, plot: Path | None
) -> None:
    """All of it. Raises Failure where the inventory, the scenario or the plot's name is wrong."""
    inventory, scenario = _read(file, name)
    if plot is not None:
        _writable(plot)
    with _progress() as bar:
        task = bar.add_task("simulated", total=days)
        found = simulate(
            inventory,
            scenario,
            days,
            seed,
            lambda day: bar.update(task, completed=day),
            len(os.sched_getaffinity(0)),
        )
    if plot is not None:
        plot.write_text(svg(found), encoding="utf-8")
        notes().print(f"drawn into {plot}", highlight=False)
    if session.json:
        print_json(as_data(found))
    else:
        _print(found)
    if found.cap_violations:
        raise typer.Exit(Exit.REFUSED)


def _writable(plot: Path) -> None:
    """Said before a minute of work, not after it."""
    if plot.suffix.lower() != ".svg":
        words = f"--plot {plot}: it is drawn as SVG; give a name that ends with .svg"
        raise Failure(Exit.USAGE, f"{words}. Nothing was simulated")
    try:
        plot.touch()
    except OSError as error:
        words = f"--plot {plot}: {error.strerror}. Nothing was simulated"
        raise Failure(Exit.REFUSED, words) from None


def _read(file: Path | None, name: str) -> tuple[Inventory, Scenario]:
    try:
        inventory = (
            load_inventory(file) if file else parse_inventory(render(), "the reference fleet")
        ).inventory
        known = Known(open_table().names, [client.id for client in inventory.clients])
        return inventory, load(name, known)
    except (InventoryError, ScenarioError) as error:
        count = len(error.problems)
        words = f"{error}\n{count} {'mistake' if count == 1 else 'mistakes'}; nothing was simulated"
        raise Failure(Exit.REFUSED, words) from None


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("days"),
        TimeElapsedColumn(), console=notes(), disable=not sys.stderr.isatty(), transient=True,
    )  # fmt: skip


def as_data(found: Foresight) -> dict[str, Any]:
    """The result for programs."""
    return {
        "scenario": found.scenario,
        "seed": found.seed,
        "mailboxes": found.mailboxes,
        "days": len(found.days),
        "cap_violations": found.cap_violations,
        "violations": [
            _fields(each, "limit", "subject", "bucket", "sent", "cap") for each in found.violations
        ],
        "delivered": found.delivered,
        "cost": {
            "monthly_eur": round(found.monthly_eur, 2),
            "per_message_eur": found.per_message_eur,
        },
        "series": [_day(each) for each in found.days],
        "pauses": [
            _fields(each, "scope", "subject", "why")
            | {"at": each.at.isoformat(), "until": each.until.isoformat()}
            for each in found.pauses
        ],
        "campaigns": [
            {
                "name": each.plan.name,
                "client": each.client,
                "recipients": each.recipients,
                "open": each.open,
                "delivered": each.sent,
                "bounced": each.bounced,
                "expired": each.expired,
                "complaints": each.complaints,
                "finished": each.finished.isoformat() if each.finished else None,
            }
            for each in found.campaigns
        ],
    }


def _fields(each: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(each, name) for name in names}


def _day(day: DayLine) -> dict[str, Any]:
    return {
        "day": day.number,
        "date": day.date.isoformat(),
        "delivered": day.total,
        "warm_up": day.warm_up,
        "by_stage": {stage: day.sent[stage] for stage in STAGES},
        "by_provider": dict(sorted(day.providers.items())),
        "mailboxes": {stage: day.boxes[stage] for stage in STAGES},
        "put_off": day.put_off,
        "refused": day.refused,
        "unknown": day.unknown,
        "expired": day.expired,
        "complaints": day.complaints,
        "pauses": day.pauses,
        "waiting": day.waiting,
    }


def _print(found: Foresight) -> None:
    heads = ("day", "warm-up mail", *_SENDING, "together", "put off", "refused", "unknown",
             "complaints", "pauses", "waiting")  # fmt: skip
    print_table(
        ("date", *(f"#{head}" for head in heads)),
        [
            (f"{day.date:%Y-%m-%d %a}", number(day.number), number(day.warm_up),
             *(number(day.sent[stage]) for stage in _SENDING),
             *map(number, (day.total, day.put_off, day.refused, day.unknown, day.complaints,
                           day.pauses, day.waiting)))
            for day in found.days
        ],
    )  # fmt: skip
    print()
    print_table(
        ("campaign", "client", "#recipients", "#delivered", "#bounced", "finished"),
        [
            (each.plan.name, each.client, number(each.recipients), number(each.sent),
             number(each.bounced),
             f"{each.finished:%Y-%m-%d}" if each.finished else f"no: {each.open:,} to go")
            for each in found.campaigns
        ],
    )  # fmt: skip
    cost = found.per_message_eur
    each = "–" if cost is None else f"{1000 * cost:.3f} euros for 1,000 delivered"
    print(f"\n{found.delivered:,} delivered in {len(found.days)} days; {each}")
    print(f"pauses: {len(found.pauses):,}")
    print(f"cap violations: {found.cap_violations:,}, by a counter of its own")
    for violation in found.violations[:20]:
        print(f"  {violation.limit} {violation.subject} {violation.bucket}: "
              f"{violation.sent:,} of {violation.cap:,}")  # fmt: skip
